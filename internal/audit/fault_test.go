package audit

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"

	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/verify"
)

// faults fails the n-th operation in a way, once.
type faults struct {
	mu      sync.Mutex
	armed   bool
	left    int
	outcome store.Outcome
	hit     bool
}

func (f *faults) arm(n int, o store.Outcome) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed, f.left, f.outcome, f.hit = true, n, o, false
}

func (f *faults) disarm() (hit bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = false
	return f.hit
}

func (f *faults) next(string) store.Outcome {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.armed || f.hit {
		return store.Works
	}
	if f.left--; f.left >= 0 {
		return store.Works
	}
	f.hit = true
	return f.outcome
}

var errFault = errors.New("a fault of the test")

// faultyRing is a keyring whose operations fail as told.
type faultyRing struct {
	keys.Ring
	faults *faults
}

func through[T any](f *faults, do func() (T, error)) (T, error) {
	var zero T
	o := f.next("ring")
	if o == store.Lost {
		return zero, errFault
	}
	v, err := do()
	if err == nil && o == store.Persisted {
		return zero, errFault
	}
	return v, err
}

func (r faultyRing) Entries(ctx context.Context, ref keys.Ref) ([]keys.Entry, error) {
	return through(r.faults, func() ([]keys.Entry, error) { return r.Ring.Entries(ctx, ref) })
}

func (r faultyRing) Insert(ctx context.Context, e keys.Entry) error {
	_, err := through(r.faults, func() (int, error) { return 0, r.Ring.Insert(ctx, e) })
	return err
}

// acknowledged is what the log said it has taken.
type acknowledged struct {
	events   map[id.Event]id.Tenant
	evidence [][32]byte
	lines    int
	seen     [][]byte // checkpoints that were served
}

// scene does one of everything and notes what was acknowledged; it goes on
// after errors, as people do.
func (h *house) scene(ack *acknowledged, ten id.Tenant) {
	ctx := context.Background()
	person := h.account()
	for i := range 2 {
		var event id.Event
		err := h.db.Write(ctx, func(tx *store.Tx) (err error) {
			event, err = h.log.AppendTx(tx, Event{Type: "account.signed_in", Tenant: ten, Actor: Actor{Kind: KindPerson, Account: person, Name: "Ada"},
				Context: Context{IP: netip.MustParseAddr("192.0.2.7")}})
			return err
		})
		if err == nil {
			ack.events[event] = ten
		}
		if i == 0 {
			h.log.Sequence(ctx)
		}
		if signed, err := h.log.Checkpoint(ctx); err == nil {
			ack.seen = append(ack.seen, signed)
		}
	}
	if d, err := h.log.Evidence(ctx, nil, []byte(`{"payload":"`+string(person)+`"}`)); err == nil {
		ack.evidence = append(ack.evidence, d)
	}
	h.log.Refused(ctx, failed("192.0.2.1"))
	if h.log.Access(AccessLine{Path: "/", Account: person, Tenant: ten}) == nil {
		if h.log.Flush(ctx) == nil {
			ack.lines++
		}
	}
	h.log.Sequence(ctx)
	if signed, err := h.log.Checkpoint(ctx); err == nil {
		ack.seen = append(ack.seen, signed)
	}
}

// mustHold checks, after a fresh start, that what was acknowledged is in the
// log, that the log continues every checkpoint that was served, and that rows
// and log agree.
func (h *house) mustHold(ack *acknowledged) error {
	ctx := context.Background()
	h.start()
	h.sequence()
	for event, tenant := range ack.events {
		if _, err := h.log.Proof(ctx, tenant, event); err != nil {
			return fmt.Errorf("an acknowledged event: %w", err)
		}
	}
	for _, d := range ack.evidence {
		if _, ok, err := h.log.EvidenceIndex(ctx, d); err != nil || !ok {
			return fmt.Errorf("acknowledged evidence is not in the log: %v", err)
		}
	}
	for _, f := range h.check() {
		return &f
	}
	key, err := verify.ParseKey(h.log.VKey())
	if err != nil {
		return err
	}
	report, err := verify.Log(ctx, h.log, &key, verify.Options{Seen: ack.seen, Now: h.clock.now, Workers: 2})
	if err != nil {
		return err
	}
	for _, f := range report.Findings {
		return &f
	}
	return nil
}

// outcomes are the two ways in which an operation fails.
var outcomes = map[string]store.Outcome{"lost": store.Lost, "persisted": store.Persisted}

// TestFaultSweep fails each operation of the store and of the keyring, lost
// and persisted, and looks at the log after each.
func TestFaultSweep(t *testing.T) {
	each(t, func(t *testing.T, outcome store.Outcome) {
		f := &faults{}
		o := storetest.SQLiteOptions(t)
		o.Fault = f.next
		h := open(t, storetest.Open(t, o, Migrations))
		h.keys = keys.New(h.root, faultyRing{h.ring, f}, h.clock.now)
		ten := h.tenant()
		ack := &acknowledged{events: map[id.Event]id.Tenant{}}
		n := 0
		for ; ; n++ {
			h.start()
			f.arm(n, outcome)
			h.scene(ack, ten)
			hit := f.disarm()
			if err := h.mustHold(ack); err != nil {
				t.Fatalf("operation %d: %v", n, err)
			}
			if !hit {
				break
			}
		}
		if n < 30 || len(ack.events) < n {
			t.Errorf("the sweep went through %d operations and %d events only", n, len(ack.events))
		}
		t.Logf("%d operations, %d events", n, len(ack.events))
	})
}

func each(t *testing.T, sweep func(t *testing.T, outcome store.Outcome)) {
	for name, outcome := range outcomes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sweep(t, outcome)
		})
	}
}

// TestFaultSweepOfTheStart fails each operation of the first start.
func TestFaultSweepOfTheStart(t *testing.T) {
	each(t, func(t *testing.T, outcome store.Outcome) {
		for n, hit := 0, true; hit; n++ {
			f := &faults{}
			o := storetest.SQLiteOptions(t)
			o.Fault = f.next
			db := storetest.Open(t, o, Migrations)
			h := &house{t: t, db: db, clock: newClock(), file: filepath.Join(t.TempDir(), "checkpoint")}
			h.keysOnly(f)
			f.arm(n, outcome)
			New(h.db, h.keys, Options{Origin: "log.example", Types: testTypes, Published: h.file, Now: h.clock.now})
			hit = f.disarm()
			if err := h.mustHold(&acknowledged{}); err != nil {
				t.Fatalf("operation %d: %v", n, err)
			}
		}
	})
}

// keysOnly makes the keys of a house whose log is not open.
func (h *house) keysOnly(f *faults) {
	h.t.Helper()
	dir := h.t.TempDir()
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	if err != nil {
		h.t.Fatal(err)
	}
	ring, err := store.OpenRing(context.Background(), "sqlite:"+filepath.Join(dir, "keyring.db"), h.clock.now)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { ring.Close() })
	h.keys = keys.New(root, faultyRing{ring, f}, h.clock.now)
	if _, err := h.keys.Roll(context.Background(), nil); err != nil {
		h.t.Fatal(err)
	}
}
