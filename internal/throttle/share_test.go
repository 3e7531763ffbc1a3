package throttle

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"troth/internal/store"
	"troth/internal/store/storetest"
)

// running reads the change feed, and tells what was spent, until the test ends.
func running(t *testing.T, db *store.DB, throttles ...*house) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{}, 1+len(throttles))
	go func() { _ = db.Run(ctx); done <- struct{}{} }()
	for _, h := range throttles {
		go func() { _ = h.Run(ctx); done <- struct{}{} }()
	}
	t.Cleanup(func() {
		stop()
		for range 1 + len(throttles) {
			<-done
		}
	})
	for !db.Fresh() {
		time.Sleep(time.Millisecond)
	}
}

// What is spent on one node is spent on all, and added up.
func TestNodesAddUp(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		one := build(t, db)
		two := one.node(db)
		limits := Limits{Name: "test", Rate: Rate{time.Minute, 10}}
		a, b := one.limiter(limits), two.limiter(limits)
		k := key(one.Throttle, "a")
		if k != key(two.Throttle, "a") {
			t.Fatal("the nodes have different keys")
		}
		for range 4 {
			a.Take(k, 1)
			b.Take(k, 1)
		}
		one.sync()
		two.sync() // tells its four, and learns of the others'
		one.sync()
		for name, l := range map[string]*Limiter{"one": a, "two": b} {
			if s := l.spent(k); s != 0.8 {
				t.Errorf("on node %s %v of the budget is spent", name, s)
			}
		}
		b.Give(k, 4)
		two.sync()
		if s := b.spent(k); s != 0.4 {
			t.Errorf("after four were given back %v is spent", s)
		}
		three := one.node(db).limiter(limits)
		if s := three.spent(k); s != 0.4 {
			t.Errorf("after a restart %v is spent", s)
		}
	}, Migrations)
}

// Marks are told as they are.
func TestNodesShareMarks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		one := build(t, db)
		two := one.node(db)
		a, err := one.newMarks(ctx, "test", time.Hour, 64)
		b, berr := two.newMarks(ctx, "test", time.Hour, 64)
		if err := errors.Join(err, berr); err != nil {
			t.Fatal(err)
		}
		k := key(one.Throttle, "a")
		a.set(k)
		b.set(k)
		one.sync()
		two.sync()
		one.sync()
		h := one.node(db)
		c, err := h.newMarks(ctx, "test", time.Hour, 64)
		if err != nil || !c.has(k) {
			t.Errorf("after a restart the mark is gone, %v", err)
		}
		h.clock.move(time.Hour)
		if a.has(k) || b.has(k) || c.has(k) {
			t.Error("marks of several nodes were added up")
		}
	}, Migrations)
}

// Two programs over one Postgres: a budget that was spent on one is spent on the
// other within a second.
func TestWithinASecond(t *testing.T) {
	o := storetest.PostgresOptions(t)
	here := storetest.Open(t, o, Migrations)
	there := storetest.Open(t, o, Migrations)
	one := build(t, here)
	two := one.node(there)
	limits := Limits{Name: "test", Rate: Rate{time.Hour, 5}}
	a, b := one.limiter(limits), two.limiter(limits)
	running(t, here, one)
	running(t, there, two)
	worst := time.Duration(0)
	for i := range 5 {
		k := key(one.Throttle, fmt.Sprint(i))
		a.Take(k, 5)
		began := time.Now()
		for b.spent(k) < 1 && time.Since(began) < 10*time.Second {
			time.Sleep(5 * time.Millisecond)
		}
		worst = max(worst, time.Since(began))
		if b.Take(k, 1) == 0 {
			t.Fatal("the budget is not spent on the other node")
		}
	}
	t.Logf("the other node knew after %s at most", worst.Round(time.Millisecond))
	if worst > time.Second {
		t.Errorf("the other node knew only after %s", worst)
	}
}

// What cannot be told now is told later, and counts here meanwhile.
func TestStoreAway(t *testing.T) {
	o := storetest.SQLiteOptions(t)
	broken := false
	o.Fault = func(op string) store.Outcome {
		if broken && op == "write" {
			return store.Lost
		}
		return store.Works
	}
	db := storetest.Open(t, o, Migrations)
	h := build(t, db)
	limits := Limits{Name: "test", Rate: Rate{time.Minute, 10}}
	l := h.limiter(limits)
	m, err := h.newMarks(ctx, "marks", time.Hour, 64)
	if err != nil {
		t.Fatal(err)
	}
	k := key(h.Throttle, "a")
	broken = true
	l.Take(k, 5)
	m.set(k)
	if h.Sync(ctx) == nil {
		t.Fatal("telling succeeded although the store is away")
	}
	l.Take(k, 1)
	if s := l.spent(k); s != 0.6 {
		t.Errorf("%v is spent here", s)
	}
	broken = false
	h.sync()
	again := h.node(db)
	if s := again.limiter(limits).spent(k); s != 0.6 {
		t.Errorf("after a restart %v is spent", s)
	}
	if m, err := again.newMarks(ctx, "marks", time.Hour, 64); err != nil || !m.has(k) {
		t.Errorf("the mark is gone, %v", err)
	}
}

// Of a flood no more is told than is bounded, and nothing of a limiter alone.
func TestFloodIsBounded(t *testing.T) {
	db := storetest.SQLite(t, Migrations)
	h := build(t, db)
	l := h.limiter(Limits{Name: "test", Rate: Rate{time.Minute, 10}, Keys: 1 << 16})
	alone := h.limiter(Limits{Name: "alone", Rate: Rate{time.Minute, 10}, Alone: true})
	for i := range 3 * maxPending {
		k := key(h.Throttle, fmt.Sprint(i))
		l.Take(k, 1)
		alone.Take(k, 1)
	}
	if n := len(h.pending.spent); n != maxPending {
		t.Errorf("%d keys wait to be told", n)
	}
	h.sync()
	rows := func() (n int) {
		err := db.Read(ctx, func(tx *store.Tx) error { return tx.QueryRow(`SELECT COUNT(*) FROM throttle_state`).Scan(&n) })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := rows(); n != flushRows {
		t.Errorf("%d keys were told at once", n)
	}
	h.clock.move(2 * time.Minute)
	err := db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("a test")
		_, err := SweepTx(tx, h.clock.now())
		return err
	})
	if n := rows(); err != nil || n != 0 {
		t.Errorf("%d rows are left after their moment, %v", n, err)
	}
}

// The table says nothing that could be read without the key.
func TestRowsHoldNoAddress(t *testing.T) {
	db := storetest.SQLite(t, Migrations)
	h := build(t, db)
	g := h.guesses()
	g.Begin(home)
	h.sync()
	var all int
	err := db.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT limiter, digest FROM throttle_state`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			var digest []byte
			if err := rows.Scan(&name, &digest); err != nil {
				return err
			}
			all++
			if want := h.Networks(home).Near; name == "test.near" && string(digest) != string(want[:]) || len(digest) != 16 {
				t.Errorf("the row of %s holds %x", name, digest)
			}
		}
		return rows.Err()
	})
	if err != nil || all != 2 { // the network and the crowd
		t.Errorf("there are %d rows, %v", all, err)
	}
}
