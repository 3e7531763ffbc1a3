package verify

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// TileWidth is the number of hashes in a full tile and of entries in a full
// bundle (C2SP tlog-tiles).
const (
	TileWidth  = 1 << tileHeight
	tileHeight = 8
	tileBytes  = TileWidth * tlog.HashSize
)

// Limits of what is read.
const (
	MaxBundle     = TileWidth * (2 + MaxEntry) // bytes of an entry bundle
	MaxCheckpoint = 64 << 10                   // bytes of a checkpoint with all its signatures
	maxSize       = 1 << 56                    // entries of a log
	maxLevel      = 6                          // 256^7 entries are more than maxSize
)

// Bundle encodes entries as C2SP tlog-tiles serves them: each with its length
// in two bytes, big endian, before it.
func Bundle(entries [][]byte) ([]byte, error) {
	if len(entries) > TileWidth {
		return nil, fmt.Errorf("a bundle holds at most %d entries, not %d", TileWidth, len(entries))
	}
	var b []byte
	for i, e := range entries {
		if len(e) > MaxEntry {
			return nil, fmt.Errorf("entry %d of the bundle has %d bytes, more than %d", i, len(e), MaxEntry)
		}
		b = binary.BigEndian.AppendUint16(b, uint16(len(e)))
		b = append(b, e...)
	}
	return b, nil
}

// ParseBundle reads exactly want entries and refuses anything after them. The
// entries share memory with b.
func ParseBundle(b []byte, want int) ([][]byte, error) {
	if want < 1 || want > TileWidth {
		return nil, fmt.Errorf("a bundle of %d entries cannot be", want)
	}
	entries := make([][]byte, 0, want)
	for range want {
		if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
			return nil, fmt.Errorf("the bundle ends within entry %d of %d", len(entries), want)
		}
		n := 2 + int(binary.BigEndian.Uint16(b))
		entries = append(entries, b[2:n:n])
		b = b[n:]
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("the bundle has %d bytes after its %d entries", len(b), want)
	}
	return entries, nil
}

// TilePath is the path of a tile of hashes: "tile/0/x001/067", or
// "tile/0/x001/067.p/12" when it holds fewer than 256. C2SP tlog-tiles leaves
// out the height "8/" that tlog.Tile.Path writes.
func TilePath(level int, n int64, width int) string {
	return withoutHeight(tlog.Tile{H: tileHeight, L: level, N: n, W: width}, "")
}

// EntriesPath is the path of an entry bundle: "tile/entries/x001/067[.p/W]".
func EntriesPath(n int64, width int) string {
	return withoutHeight(tlog.Tile{H: tileHeight, L: -1, N: n, W: width}, "entries")
}

func withoutHeight(t tlog.Tile, level string) string {
	if level == "" {
		level = fmt.Sprint(t.L)
	}
	parts := strings.SplitN(t.Path(), "/", 4) // tile, height, level, the rest
	return "tile/" + level + "/" + parts[3]
}

// TileCoordinates are what a tile path names. Level -1 is an entry bundle.
type TileCoordinates struct {
	Level int
	N     int64
	Width int
}

var errTilePath = errors.New("this is no path of a tile or entry bundle")

// ParseTilePath reads a path as [TilePath] and [EntriesPath] write it, and
// nothing else.
func ParseTilePath(path string) (TileCoordinates, error) {
	parts := strings.SplitN(path, "/", 3)
	if len(parts) != 3 || parts[0] != "tile" || len(path) > 80 {
		return TileCoordinates{}, errTilePath
	}
	level := -1
	if parts[1] != "entries" {
		if len(parts[1]) != 1 || parts[1][0] < '0' || parts[1][0] > '0'+maxLevel {
			return TileCoordinates{}, errTilePath
		}
		level = int(parts[1][0] - '0')
	}
	in := "data" // x/mod's word for entries
	if level >= 0 {
		in = parts[1]
	}
	t, err := tlog.ParseTilePath("tile/8/" + in + "/" + parts[2])
	if err != nil || t.N > maxSize/TileWidth {
		return TileCoordinates{}, errTilePath
	}
	return TileCoordinates{Level: level, N: t.N, Width: t.W}, nil
}
