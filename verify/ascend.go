package verify

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// begin takes what stands left of the first block from the served tiles. They
// are not believed: unless they are right, the root will not come out.
func (s *scan) begin(ctx context.Context) error {
	for level, size := 1, s.from; size > 0; level, size = level+1, size/TileWidth {
		n, width := size/TileWidth, int(size%TileWidth)
		s.closed[level] = n
		if width == 0 {
			continue
		}
		there := min(TileWidth, s.head.Size>>(tileHeight*level)-n*TileWidth)
		var findings []Finding
		hashes, err := s.tile(ctx, level, n, int(there), &findings)
		if err != nil {
			return err
		}
		s.report.add(findings...)
		if hashes == nil {
			hashes = make([]tlog.Hash, width)
		}
		s.entries[level] = append(s.entries[level], hashes[:width]...)
		s.tiles[level] = append(s.tiles[level], hashes[:width]...)
	}
	return nil
}

// take adds a block to both trees and hands its entries on, in order.
func (s *scan) take(ctx context.Context, b *block) error {
	s.report.add(b.findings...)
	s.keep(b.differ)
	served := b.served
	if served == nil {
		served = b.hashes
	}
	s.passBy(b)
	for i, e := range b.entries {
		if e.Kind != 0 {
			s.wanted(b.n*TileWidth+int64(i), e)
		}
	}
	if len(b.hashes) < TileWidth {
		s.entries[0], s.tiles[0] = b.hashes, served // the last block
	} else {
		other := b.root
		if b.served != nil {
			other = subtree(b.served)
		}
		if err := s.ascend(ctx, 1, b.root, other); err != nil {
			return err
		}
	}
	if s.progress != nil {
		s.progress(min((b.n+1)*TileWidth, s.head.Size), s.head.Size)
	}
	return nil
}

// ascend adds the root of a full tile to the level above, and closes that one
// when it is full too.
func (s *scan) ascend(ctx context.Context, level int, computed, served tlog.Hash) error {
	s.tiles.add(level, served)
	if !s.entries.add(level, computed) {
		return nil
	}
	n := s.closed[level]
	s.closed[level]++
	if err := s.upper(ctx, level, n); err != nil {
		return err
	}
	return s.ascend(ctx, level+1, s.entries.close(level), s.tiles.close(level))
}

// upper holds a served tile above the entries against both trees. A row that
// agrees with either is explained by what was found below.
func (s *scan) upper(ctx context.Context, level int, n int64) error {
	var findings []Finding
	computed, below := s.entries[level], s.tiles[level]
	served, err := s.tile(ctx, level, n, len(computed), &findings)
	if err != nil {
		return err
	}
	s.report.add(findings...)
	for i, h := range served {
		if h != computed[i] && h != below[i] {
			s.report.add(Finding{Code: "tile-differs", Where: fmt.Sprintf("%s, row %d", TilePath(level, n, len(computed)), i),
				What: "The tile's hash is not that of the entries below it.", Expected: computed[i].String(), Seen: h.String()})
		}
	}
	return nil
}

// passBy computes the roots of earlier trees that end within a block.
func (s *scan) passBy(b *block) {
	for _, p := range s.prior {
		if rest := p.Size - b.n*TileWidth; rest > 0 && rest <= int64(len(b.hashes)) {
			s.roots[p.Size] = s.entries.root(b.hashes[:rest])
		}
	}
}

// maxDifferences bounds what is kept of a log that differs everywhere.
const maxDifferences = 1000

func (s *scan) keep(d []difference) {
	s.report.differences += int64(len(d))
	s.differ = append(s.differ, d[:min(len(d), maxDifferences-len(s.differ))]...)
}

// finish checks the partial tiles and the root, and decides what the
// differences mean.
func (s *scan) finish(ctx context.Context) error {
	for level := 1; level < len(s.entries); level++ {
		if len(s.entries[level]) > 0 {
			if err := s.upper(ctx, level, s.closed[level]); err != nil {
				return err
			}
		}
	}
	computed, served := s.entries.root(s.entries[0]), s.tiles.root(s.tiles[0])
	s.roots[0] = tlog.Hash(emptyRoot)
	for _, d := range s.differ {
		s.report.add(d.finding(computed == s.head.Root, served == s.head.Root))
	}
	if computed != s.head.Root {
		s.report.add(Finding{Code: "root-differs", Where: fmt.Sprintf("checkpoint of size %d", s.head.Size),
			What: "The entries do not add up to the root that was signed.", Expected: s.head.Root.String(), Seen: computed.String()})
	}
	return nil
}

// finding says which of the two was changed: the one without which the root
// that was signed comes out.
func (d difference) finding(entriesRight, tilesRight bool) Finding {
	entry, row := fmt.Sprintf("entry %d (%s)", d.entry, d.bundle), fmt.Sprintf("%s, row %d", d.tile, d.entry%TileWidth)
	switch {
	case entriesRight:
		return Finding{Code: "tile-differs", Where: row, What: "The tile's hash is not that of its entry.", Expected: d.computed.String(), Seen: d.served.String()}
	case tilesRight:
		return Finding{Code: "entry-differs", Where: entry, What: "The entry is not the one that was signed.", Expected: d.served.String(), Seen: d.computed.String()}
	}
	return Finding{Code: "entry-differs", Where: entry, What: "The entry and its tile disagree, and neither alone leads to the root that was signed.", Expected: d.served.String(), Seen: d.computed.String()}
}
