package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing/fstest"
	"time"

	"troth/internal/audit"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
)

// The writers, and how much each writes in one repetition.
const (
	writers     = 64
	writesEach  = 60
	writeRounds = 9
)

// notes is what the writers act upon.
var notes = fstest.MapFS{"209901010001_bench.sql": {Data: []byte(`-- +goose Up
CREATE TABLE IF NOT EXISTS bench_note (tenant TEXT NOT NULL, note TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (tenant, note));
-- +goose Down
DROP TABLE IF EXISTS bench_note;
`)}}

// written is the type of the event.
var written = []audit.Type{{Name: "bench.noted", Sentence: "{actor} wrote a note from {ip}"}}

// writer is one who writes notes.
type writer struct {
	tenant  id.Tenant
	account id.Account
}

// act is one audited write as the journal keeps it.
type act struct {
	writer int
	note   string
	event  id.Event
}

// audited measures actions that are recorded in their own transaction, each
// durable when it is acknowledged, by 64 writers at once, against inserting the
// same rows, in the same batches, into an equal database.
func audited(ctx context.Context, l *lab) error {
	g, err := l.newGround(ctx, "audited", written, notes)
	if err != nil {
		return err
	}
	defer g.close()
	raw, err := l.newRaw(ctx, notes)
	if err != nil {
		return err
	}
	defer raw.close()
	people, err := g.writers(ctx)
	if err != nil {
		return err
	}
	if err := raw.table(ctx, g); err != nil {
		return err
	}
	own, err := openRaw(g.path, g.key)
	if err != nil {
		return err
	}
	defer own.Close()
	var p pairs
	var sizes []float64
	for round := range writeRounds {
		if err := errors.Join(empty(own), empty(raw.conn)); err != nil {
			return err
		}
		took, acts, err := g.writeAll(ctx, people)
		if err != nil {
			return err
		}
		batches, err := g.rowsOf(ctx, people, acts)
		if err != nil {
			return err
		}
		bare, err := raw.insert(batches)
		if err != nil {
			return err
		}
		if round == 0 {
			continue // the first fills caches and prepares statements, on both sides
		}
		n := float64(len(acts))
		p.take(n/took.Seconds(), n/bare.Seconds())
		sizes = append(sizes, n/float64(len(batches)))
		if _, err := g.log.Sequence(ctx); err != nil { // keeps what is pending as small as in operation
			return err
		}
		if err := raw.clear(); err != nil {
			return err
		}
	}
	l.table.add(line{what: fmt.Sprintf("audited writes, durable, %d writers", writers), asked: "≥ 0.6 of raw inserts of the same rows in the same batches",
		measured: perSecond(median(p.ours)), beside: fmt.Sprintf("raw, %.0f a commit: %s", math.Round(median(sizes)), perSecond(median(p.theirs))), ratio: p.String(), holds: median(p.ratio) >= 0.6})
	l.table.growth("five rows a write into B-trees led by tenant or identifier: the logarithm of the number of events. One file has one writer: more processors do not add to it, Postgres does.")
	return nil
}

func (g *ground) writers(ctx context.Context) ([]writer, error) {
	all := make([]writer, writers)
	now := time.Now()
	err := parallel(writers, writers, func(i int) error {
		all[i] = writer{id.New[id.Tenant](now), id.New[id.Account](now)}
		return errors.Join(g.keys.Create(ctx, keys.TenantRef(all[i].tenant), 32), g.keys.Create(ctx, keys.SubjectRef(all[i].account), 32))
	})
	return all, err
}

// writeAll lets all write at once and returns what they did in the order in
// which the store did it.
func (g *ground) writeAll(ctx context.Context, people []writer) (time.Duration, []act, error) {
	acts := make([]act, 0, writers*writesEach)
	failed := make(chan error, writers)
	var wg sync.WaitGroup
	began := time.Now()
	for i, w := range people {
		wg.Go(func() {
			for range writesEach {
				a := act{writer: i, note: string(id.New[id.Change](time.Now()))}
				err := g.db.Write(ctx, func(tx *store.Tx) (err error) {
					if _, err = tx.Exec(`INSERT INTO bench_note (tenant, note, body) VALUES ($1, $2, $3)`, w.tenant, a.note, body); err != nil {
						return err
					}
					a.event, err = g.log.AppendTx(tx, audit.Event{Type: "bench.noted", Tenant: w.tenant, Context: from,
						Actor: audit.Actor{Kind: audit.KindPerson, Account: w.account}, Targets: []audit.Target{{Kind: "note", ID: a.note}}})
					acts = append(acts, a) // one at a time: the store has one writer
					return err
				})
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	select {
	case err := <-failed:
		return 0, nil, err
	default:
	}
	return took, acts, nil
}

// body is a note.
const body = "The quick brown fox jumps over the lazy dog, and is recorded doing so."

// batches cuts the acts as the store did. A writer writes again only after what
// it wrote is durable, so an act whose writer is in the present batch already
// begins another. Two commits may be taken for one by that, never one for two:
// if anything, the batches are larger than they were, which favours the other side.
func batches(acts []act) [][]act {
	var all [][]act
	in := map[int]bool{}
	start := 0
	for i, a := range acts {
		if in[a.writer] {
			all = append(all, acts[start:i])
			start = i
			clear(in)
		}
		in[a.writer] = true
	}
	return append(all, acts[start:])
}
