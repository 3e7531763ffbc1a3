package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"
)

// scan reads every entry and every tile of a log once, in order, and carries
// two trees along: one computed from the entries, one from the tiles that are
// served. Where the two differ, the checkpoint's root says which was changed.
type scan struct {
	src      Source
	head     Checkpoint
	from     int64        // the first block that is read
	prior    []Checkpoint // whose roots are recomputed on the way
	progress func(done, total int64)

	entries, tiles frontier            // from entries, from served tiles
	closed         [maxLevel + 2]int64 // tiles that were full, per level
	differ         []difference        // provisional, until the root decides
	roots          map[int64]tlog.Hash // of the prior sizes

	report *Report
	wanted func(index int64, e Entry) // called for each entry, in order
}

// difference is a row where an entry and the served tile disagree.
type difference struct {
	entry    int64
	tile     string
	bundle   string
	computed tlog.Hash
	served   tlog.Hash
}

// block is what a worker made of one bundle and its tile.
type block struct {
	n        int64
	hashes   []tlog.Hash // computed from the entries
	served   []tlog.Hash // nil when as computed
	root     tlog.Hash   // of hashes, when the tile is full
	entries  []Entry     // parsed; the zero Entry where that went wrong
	differ   []difference
	findings []Finding
}

// run reads the log. An error says that it could not be read; what is wrong
// with it is in the report.
func (s *scan) run(ctx context.Context, workers int) error {
	blocks := (s.head.Size + TileWidth - 1) / TileWidth
	if err := s.begin(ctx); err != nil {
		return err
	}
	s.roots = make(map[int64]tlog.Hash)
	g, run := errgroup.WithContext(ctx)
	// Results arrive through one channel each, queued in the order of the log, so
	// at most twice as many blocks are held as there are workers.
	queue := make(chan chan *block, workers)
	g.Go(func() error {
		defer close(queue)
		return s.dispatch(run, g, queue, blocks)
	})
	g.Go(func() error {
		for result := range queue {
			select {
			case b := <-result:
				if err := s.take(run, b); err != nil {
					return err
				}
			case <-run.Done():
				return run.Err()
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	return s.finish(ctx)
}

// dispatch starts a worker for each block, in order, as many at once as the
// queue is long.
func (s *scan) dispatch(ctx context.Context, g *errgroup.Group, queue chan<- chan *block, blocks int64) error {
	limit := make(chan struct{}, cap(queue))
	for n := s.from; n < blocks; n++ {
		select {
		case limit <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		result := make(chan *block, 1)
		g.Go(func() error {
			defer func() { <-limit }()
			b, err := s.block(ctx, n)
			if err == nil {
				result <- b
			}
			return err
		})
		select {
		case queue <- result:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// block reads one bundle and the tile over it.
func (s *scan) block(ctx context.Context, n int64) (*block, error) {
	width := int(min(s.head.Size-n*TileWidth, TileWidth))
	b := &block{n: n, entries: make([]Entry, width)}
	records, err := s.bundle(ctx, b, width)
	if err != nil {
		return nil, err
	}
	served, err := s.tile(ctx, 0, n, width, &b.findings)
	if err != nil {
		return nil, err
	}
	b.hashes = make([]tlog.Hash, width)
	for i, r := range records {
		b.hashes[i] = tlog.RecordHash(r)
		if b.entries[i], err = ParseEntry(r); err != nil {
			b.findings = append(b.findings, Finding{Code: "entry-malformed", Where: fmt.Sprintf("entry %d", n*TileWidth+int64(i)), What: sentence(err)})
		}
	}
	b.compare(served, records == nil)
	if width == TileWidth {
		buf := make([]tlog.Hash, TileWidth)
		copy(buf, b.hashes)
		b.root = subtree(buf)
	}
	return b, nil
}

// compare holds the served tile against the entries. Where one of them is
// missing, the other stands in, so that the rest is still examined.
func (b *block) compare(served []tlog.Hash, missing bool) {
	switch {
	case served == nil:
		return
	case missing:
		copy(b.hashes, served)
		return
	}
	width := len(b.hashes)
	for i, h := range served {
		if h != b.hashes[i] {
			b.served = served
			b.differ = append(b.differ, difference{b.n*TileWidth + int64(i), TilePath(0, b.n, width), EntriesPath(b.n, width), b.hashes[i], h})
		}
	}
}

// bundle fetches the entries of a block; nil when the log has none there.
func (s *scan) bundle(ctx context.Context, b *block, width int) ([][]byte, error) {
	path := EntriesPath(b.n, width)
	raw, full, err := fetchTile(ctx, s.src, func(w int) string { return EntriesPath(b.n, w) }, width, MaxBundle)
	if err == nil {
		var records [][]byte
		if records, err = ParseBundle(raw, full); err == nil {
			return records[:width], nil
		}
		b.findings = append(b.findings, Finding{Code: "entries-malformed", Where: path, What: sentence(err)})
		return nil, nil
	}
	return nil, absent(err, "entries", path, &b.findings)
}

// tile fetches a tile of hashes; nil when the log has none there.
func (s *scan) tile(ctx context.Context, level int, n int64, width int, findings *[]Finding) ([]tlog.Hash, error) {
	path := TilePath(level, n, width)
	raw, full, err := fetchTile(ctx, s.src, func(w int) string { return TilePath(level, n, w) }, width, tileBytes)
	if err != nil {
		return nil, absent(err, "tile", path, findings)
	}
	if len(raw) != full*tlog.HashSize {
		*findings = append(*findings, Finding{Code: "tile-malformed", Where: path, What: "The tile has a wrong length.",
			Expected: fmt.Sprintf("%d bytes", full*tlog.HashSize), Seen: fmt.Sprintf("%d bytes", len(raw))})
		return nil, nil
	}
	hashes := make([]tlog.Hash, width)
	for i := range hashes {
		copy(hashes[i][:], raw[i*tlog.HashSize:])
	}
	return hashes, nil
}

// fetchTile fetches a tile or bundle of a width, or the full one that has
// taken its place since (C2SP tlog-tiles: partial tiles may be deleted then).
func fetchTile(ctx context.Context, src Source, path func(width int) string, width int, limit int64) (b []byte, got int, err error) {
	b, err = src.Fetch(ctx, path(width), limit)
	if width < TileWidth && errors.Is(err, fs.ErrNotExist) {
		if b, full := src.Fetch(ctx, path(TileWidth), limit); full == nil {
			return b, TileWidth, nil
		}
	}
	return b, width, err
}

// absent turns "there is no such file" and "it is too long" into a finding;
// any other error stays one: it could not be told.
func absent(err error, what, path string, findings *[]Finding) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		*findings = append(*findings, Finding{Code: what + "-missing", Where: path, What: "The log does not have it."})
	case errors.Is(err, errTooLong):
		*findings = append(*findings, Finding{Code: what + "-malformed", Where: path, What: sentence(err)})
	default:
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}
