package audit

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"troth/internal/id"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/verify"
)

// pend leaves n leaves in audit_pending, spread over the tenants, as actions
// would have.
func pend(b testing.TB, h *house, tenants []id.Tenant, n int) {
	b.Helper()
	leaf := verify.Leaf{Class: ClassAudit, At: h.clock.now()}
	for done := 0; done < n; {
		step := min(n-done, 10000)
		err := h.db.Write(context.Background(), func(tx *store.Tx) error {
			tx.Unaudited("fills the queue of a benchmark")
			in := inserter{tx: tx, into: `audit_pending (name, tree, entry)`, columns: 3}
			for i := range step {
				leaf.Event = string(id.New[id.Event](h.clock.now()))
				entry, err := leaf.Encode()
				if err != nil {
					return err
				}
				in.add(leaf.Event, string(tenants[(done+i)%len(tenants)]), entry)
			}
			return in.done()
		})
		if err != nil {
			b.Fatal(err)
		}
		done += step
	}
}

// BenchmarkSequence reports how many events a second become leaves, on the
// encrypted store.
func BenchmarkSequence(b *testing.B) {
	const events = 20000
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("tenants=%d", n), func(b *testing.B) {
			h := sqlite(b)
			tenants := make([]id.Tenant, n)
			for i := range tenants {
				tenants[i] = id.New[id.Tenant](h.clock.now())
			}
			for b.Loop() {
				b.StopTimer()
				pend(b, h, tenants, events)
				b.StartTimer()
				if got, err := h.log.Sequence(context.Background()); err != nil || got != events {
					b.Fatal(got, err)
				}
			}
			b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkProof reports the time of a proof in a tree of a million leaves.
func BenchmarkProof(b *testing.B) {
	h := sqlite(b)
	const leaves = 1000000
	tenants := []id.Tenant{h.tenant()}
	for done := 0; done < leaves; done += 50000 {
		pend(b, h, tenants, 50000)
		h.sequence()
	}
	event := h.append(Event{Type: "account.signed_in", Tenant: tenants[0], Actor: Actor{Kind: KindSystem, Name: "bench"}})
	pend(b, h, tenants, 300)
	h.sequence()
	for b.Loop() {
		if _, err := h.log.Proof(context.Background(), tenants[0], event); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppend compares 64 writers that append events with 64 writers that
// insert the same rows.
func BenchmarkAppend(b *testing.B) {
	const writers, each = 64, 100
	run := func(b *testing.B, h *house, do func(tx *store.Tx) error) {
		for b.Loop() {
			var wg sync.WaitGroup
			var failed atomic.Int64
			for range writers {
				wg.Go(func() {
					for range each {
						if err := h.db.Write(context.Background(), do); err != nil {
							failed.Add(1)
							b.Log(err)
							return
						}
					}
				})
			}
			wg.Wait()
			if failed.Load() > 0 {
				b.Fatal("writers failed")
			}
		}
		b.ReportMetric(float64(writers*each*b.N)/b.Elapsed().Seconds(), "events/s")
		b.ReportMetric(0, "ns/op")
	}
	event := func(h *house) Event {
		return Event{Type: "account.signed_in", Tenant: h.tenant(), Actor: Actor{Kind: KindPerson, Account: h.account(), Name: "Ada"},
			Context: Context{IP: netip.MustParseAddr("192.0.2.7"), Agent: "Mozilla/5.0 (X11; Linux x86_64)"}}
	}
	b.Run("audited", func(b *testing.B) {
		h := open(b, storetest.SQLite(b, Migrations))
		e := event(h)
		run(b, h, func(tx *store.Tx) error {
			_, err := h.log.AppendTx(tx, e)
			return err
		})
	})
	b.Run("raw", func(b *testing.B) {
		h := open(b, storetest.SQLite(b, Migrations))
		e := event(h)
		if err := h.log.complete(&e); err != nil {
			b.Fatal(err)
		}
		sections, err := h.log.sections(context.Background(), &e, ClassAudit)
		if err != nil {
			b.Fatal(err)
		}
		body := encodeSections(sections)
		leaf, err := verify.Leaf{Event: string(e.ID), Class: ClassAudit, At: e.OccurredAt}.Encode()
		if err != nil {
			b.Fatal(err)
		}
		run(b, h, func(tx *store.Tx) error {
			tx.Unaudited("the same rows, without making them")
			e := e
			e.ID = id.New[id.Event](h.clock.now())
			return insertEvent(tx, &e, ClassAudit, body, leaf)
		})
	})
}

// BenchmarkLine is what a request pays for its access line.
func BenchmarkLine(b *testing.B) {
	h := sqlite(b)
	h.log.now, h.log.queue.now = time.Now, time.Now
	line := AccessLine{Method: "GET", Host: "app.example", Path: "/notes/1", Route: "/", Account: h.account(), Tenant: h.tenant(),
		Request: id.New[id.Request](h.clock.now()), IP: netip.MustParseAddr("192.0.2.7"), Agent: "Mozilla/5.0"}
	b.ReportAllocs()
	for b.Loop() {
		l, err := h.log.Begin(line)
		if err != nil {
			b.Fatal(err)
		}
		l.End(200, 1234, time.Millisecond)
		if len(h.log.queue.lines) == segmentLines {
			b.StopTimer()
			h.log.queue.take(true)
			h.log.queue.written()
			b.StartTimer()
		}
	}
}

// BenchmarkSegment is what the flusher pays for a line, sealed and durable.
func BenchmarkSegment(b *testing.B) {
	h := sqlite(b)
	accounts, ten := []id.Account{"", h.account(), h.account(), h.account()}, h.tenant()
	lines := make([]AccessLine, segmentLines)
	for i := range lines {
		lines[i] = AccessLine{At: h.clock.now(), Method: "GET", Host: "app.example", Path: "/notes/1", Route: "/", Account: accounts[i%4], Tenant: ten,
			Request: id.New[id.Request](h.clock.now()), IP: netip.MustParseAddr("192.0.2.7"), Agent: "Mozilla/5.0", Status: 200}
	}
	for b.Loop() {
		if err := h.log.writeSegments(context.Background(), lines); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(segmentLines*b.N)/b.Elapsed().Seconds(), "lines/s")
}
