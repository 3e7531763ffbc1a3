package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Options say how a log is examined. The zero value is of use.
type Options struct {
	Now          func() time.Time                      // time.Now
	Workers      int                                   // files read at once; 0: enough for the processors and a network
	State        string                                // file that keeps the last checkpoint seen; "" keeps none
	Seen         [][]byte                              // signed checkpoints seen elsewhere, which this log must continue
	Tail         bool                                  // read no older entries than the claims need; what is older is only bound to the root
	NeedDocument bool                                  // a log without trust document is a finding
	MaxEvidence  int                                   // pieces of evidence examined beside those cited; 0: 10,000
	Progress     func(stage string, done, total int64) // "entries", "evidence"; may be nil
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Workers <= 0 {
		o.Workers = max(8, 2*runtime.GOMAXPROCS(0))
	}
	if o.MaxEvidence <= 0 {
		o.MaxEvidence = 10000
	}
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	return o
}

// Log examines a log and the trust document beside it. Without a key, the
// log's own is believed, and the report says that nothing was pinned. An error
// says that the examination could not be made; what it found is in the report.
func Log(ctx context.Context, src Source, key *Key, o Options) (*Report, error) {
	x := &examination{src: src, o: o.withDefaults(), r: &Report{Pinned: key != nil, Entries: map[string]int64{}}}
	if err := x.findKey(ctx, key); err != nil {
		return nil, err
	}
	// The document first: what it cites is then within the checkpoint.
	if err := x.fetchDocument(ctx); err != nil {
		return nil, err
	}
	signed, ok, err := x.fetchCheckpoint(ctx)
	if err != nil || !ok {
		return x.r, err
	}
	prior, err := x.priorCheckpoints()
	if err != nil {
		return nil, err
	}
	x.from = windowOf(x.document, x.head.Size)
	s := &scan{src: src, head: x.head, prior: prior, report: x.r, wanted: x.entry}
	s.progress = func(done, total int64) { x.o.Progress("entries", done, total) }
	if x.o.Tail {
		s.from = min(x.from, oldestCited(x.document, x.head.Size)) / TileWidth
		x.r.From = s.from * TileWidth
	}
	if err := s.run(ctx, x.o.Workers); err != nil {
		return nil, err
	}
	x.continues(prior, s)
	consistent := x.r.OK()
	if err := x.claims(ctx); err != nil {
		return nil, err
	}
	if consistent && x.o.State != "" {
		if err := saveState(x.o.State, signed); err != nil {
			return nil, err
		}
	}
	return x.r, nil
}

// examination is one call of Log.
type examination struct {
	src      Source
	o        Options
	key      Key
	r        *Report
	document *Document
	fetched  time.Time // when the document was
	head     Checkpoint

	from  int64           // evidence from this entry on is examined
	cited map[int64]Entry // entries that the document cites
	late  []placed        // evidence from that entry on, the newest MaxEvidence
}

// placed is a piece of evidence at its place in the log.
type placed struct {
	index  int64
	digest Digest
}

func (x *examination) findKey(ctx context.Context, key *Key) error {
	if key != nil {
		x.key = *key
		return nil
	}
	b, err := x.src.Fetch(ctx, "vkey", 4<<10)
	if err != nil {
		return fmt.Errorf("reading the log's own key: %w", err)
	}
	x.key, err = ParseKey(string(b))
	return err
}

func (x *examination) fetchDocument(ctx context.Context) error {
	x.fetched = x.o.Now()
	b, err := x.src.Fetch(ctx, "trust.json", MaxDocument)
	if errors.Is(err, fs.ErrNotExist) {
		if x.o.NeedDocument {
			x.r.add(Finding{Code: "document-missing", Where: "trust.json", What: "There is no trust document."})
		}
		return nil
	}
	if err != nil && !errors.Is(err, errTooLong) {
		return fmt.Errorf("reading the trust document: %w", err)
	}
	var d Document
	if err == nil {
		d, err = ParseDocument(b)
	}
	if err != nil {
		x.r.add(Finding{Code: "document-malformed", Where: "trust.json", What: sentence(err)})
		return nil
	}
	x.document, x.r.Document = &d, true
	x.cited = make(map[int64]Entry)
	for _, c := range d.Claims {
		for _, e := range c.Evidence {
			x.cited[e.LogIndex] = Entry{}
		}
	}
	return nil
}

// fetchCheckpoint says false when there is no checkpoint to go on with.
func (x *examination) fetchCheckpoint(ctx context.Context) ([]byte, bool, error) {
	signed, err := x.src.Fetch(ctx, "checkpoint", MaxCheckpoint)
	if errors.Is(err, fs.ErrNotExist) {
		x.r.add(Finding{Code: "checkpoint-missing", Where: "checkpoint", What: "The log has no checkpoint."})
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading the checkpoint: %w", err)
	}
	x.head, err = OpenCheckpoint(signed, x.key)
	if err != nil {
		x.r.add(Finding{Code: "checkpoint-signature", Where: "checkpoint", What: sentence(err), Expected: "a checkpoint signed by " + x.key.VKey})
		return nil, false, nil
	}
	x.r.Origin, x.r.Size, x.r.Root = x.head.Origin, x.head.Size, x.head.Root.String()
	return signed, true, nil
}

// priorCheckpoints opens what was seen before. One that this key did not sign
// is a finding: the key was changed.
func (x *examination) priorCheckpoints() ([]Checkpoint, error) {
	seen := x.o.Seen
	if x.o.State != "" {
		b, err := os.ReadFile(x.o.State)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reading the checkpoint seen before: %w", err)
		}
		if err == nil {
			seen = append(seen[:len(seen):len(seen)], b)
		}
	}
	var prior []Checkpoint
	for _, b := range seen {
		c, err := OpenCheckpoint(b, x.key)
		if err != nil {
			x.r.add(Finding{Code: "seen-signature", Where: "checkpoint seen before", What: sentence(err), Expected: "a checkpoint signed by " + x.key.VKey})
			continue
		}
		prior = append(prior, c)
	}
	return prior, nil
}

// entry counts an entry and keeps what the claims need.
func (x *examination) entry(index int64, e Entry) {
	x.r.Entries[e.Kind.String()]++
	if _, ok := x.cited[index]; ok {
		x.cited[index] = e
	}
	switch e.Kind {
	case KindEpoch:
		if want := uint32(len(x.r.Epochs) + 2); e.Epoch.Number != want && !x.o.Tail {
			x.r.add(Finding{Code: "epoch-out-of-order", Where: fmt.Sprintf("entry %d", index), What: "The epochs are not numbered one after the other.",
				Expected: fmt.Sprint(want), Seen: fmt.Sprint(e.Epoch.Number)})
		}
		x.r.Epochs = append(x.r.Epochs, e.Epoch)
	case KindEvidence:
		if x.document == nil || index < x.from {
			return
		}
		if len(x.late) == 2*x.o.MaxEvidence { // halve, so that moving costs little
			x.r.Unread += int64(x.o.MaxEvidence)
			x.late = append(x.late[:0], x.late[x.o.MaxEvidence:]...)
		}
		x.late = append(x.late, placed{index, e.Digest})
	}
}

// continues holds the recomputed tree against each checkpoint seen before.
func (x *examination) continues(prior []Checkpoint, s *scan) {
	for _, p := range prior {
		if p.Size < x.r.From {
			continue // its entries were not read
		}
		x.r.Seen = &p.Size
		root, ok := s.roots[p.Size]
		if ok && root == p.Root {
			continue
		}
		f := Finding{Code: "log-rewritten", Where: fmt.Sprintf("first %d entries", p.Size), What: "The log does not continue the checkpoint seen before.", Expected: p.Root.String(), Seen: root.String()}
		if !ok {
			f = Finding{Code: "log-shrunk", Where: "checkpoint", What: "The log is shorter than it was.", Expected: fmt.Sprintf("at least %d entries", p.Size), Seen: fmt.Sprintf("%d", x.head.Size)}
		}
		for _, e := range x.r.Epochs {
			if e.Size >= p.Size {
				f.Code, f.What = "log-restored", fmt.Sprintf("The log was taken back to an older head on %s, and says so in its epoch %d; entries that you saw are gone.", e.At.Format(time.RFC3339), e.Number)
				break
			}
		}
		x.r.add(f)
	}
}

// saveState replaces the state file as a whole.
func saveState(path string, signed []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".checkpoint-*")
	if err != nil {
		return fmt.Errorf("saving the checkpoint: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(signed)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("saving the checkpoint: %w", err)
	}
	return nil
}
