package throttle

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	h := sqlite(t)
	l := h.limiter(Limits{Name: "test", Rate: Rate{Every: time.Second, Burst: 3}})
	k, other := key(h.Throttle, "a"), key(h.Throttle, "b")
	for i := range 3 {
		if wait := l.Take(k, 1); wait != 0 {
			t.Fatalf("try %d of three waits %s", i+1, wait)
		}
	}
	if wait := l.Take(k, 1); wait != time.Second {
		t.Errorf("the fourth waits %s", wait)
	}
	if l.Take(other, 1) != 0 {
		t.Error("another key waits")
	}
	if s := l.spent(k); s != 1 {
		t.Errorf("%v of the budget is spent", s)
	}
	h.clock.move(400 * time.Millisecond)
	if wait := l.Take(k, 1); wait != 600*time.Millisecond {
		t.Errorf("after 400 ms it waits %s", wait)
	}
	h.clock.move(600 * time.Millisecond)
	if l.Take(k, 1) != 0 || l.Take(k, 1) == 0 {
		t.Error("a second did not bring exactly one")
	}
	l.Give(k, 1)
	if l.Take(k, 1) != 0 {
		t.Error("what was given back is not there")
	}
	h.clock.move(time.Hour)
	if s := l.spent(k); s != 0 {
		t.Errorf("after an hour %v of the budget is spent", s)
	}
	if wait := l.Take(k, 7); wait != 0 || l.Take(k, 1) == 0 {
		t.Error("more than the burst does not cost all of it")
	}
}

// The algorithm is a bucket: it lets through exactly what a bucket that is
// refilled continuously does.
func TestLikeABucket(t *testing.T) {
	h := sqlite(t)
	r := rand.New(rand.NewPCG(7, 11))
	rate := Rate{Every: 3 * time.Second, Burst: 5}
	l := h.limiter(Limits{Name: "test", Rate: rate})
	k := key(h.Throttle, "a")
	level, last := float64(rate.Burst), h.clock.now()
	for i := range 20_000 {
		h.clock.move(time.Duration(r.IntN(4)) * time.Second) // whole seconds: the model counts thirds exactly enough
		n := 1 + r.IntN(2)
		now := h.clock.now()
		level = min(float64(rate.Burst), level+now.Sub(last).Seconds()/rate.Every.Seconds())
		last = now
		fits := level >= float64(n)-1e-6
		if fits {
			level -= float64(n)
		}
		if got := l.Take(k, n) == 0; got != fits {
			t.Fatalf("step %d: the limiter says %t, the bucket, with %.3f for %d, %t", i, got, level, n, fits)
		}
	}
}

// However many try at once, no more than the burst get through.
func TestAtOnce(t *testing.T) {
	h := sqlite(t)
	l := h.limiter(Limits{Name: "test", Rate: Rate{Every: time.Minute, Burst: 20}})
	k := key(h.Throttle, "a")
	var through atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 500 {
				if l.Take(k, 1) == 0 {
					through.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := through.Load(); n != 20 {
		t.Errorf("%d got through, not 20", n)
	}
}

// A newcomer in a full corner takes the place of the least, and what it owes:
// no debt is forgotten, and none that is greater is touched.
func TestFullCorner(t *testing.T) {
	h := sqlite(t)
	l := h.limiter(Limits{Name: "test", Rate: Rate{Every: time.Second, Burst: 100}, Keys: ways, Alone: true})
	name := func(i int) (k Key) { binary.BigEndian.PutUint32(k[8:], uint32(i)+1); return k }
	for i := range ways {
		l.Take(name(i), 10*(i+1))
	}
	newcomer := name(ways)
	if l.Take(newcomer, 1) != 0 {
		t.Fatal("the newcomer waits, although the least has a budget left")
	}
	if s := l.spent(newcomer); s != 0.11 {
		t.Errorf("the newcomer owes %v, not the 10 of the least and its own", s)
	}
	if l.spent(name(0)) != 0 {
		t.Error("the least is still there")
	}
	for i := 1; i < ways; i++ {
		if s := l.spent(name(i)); s != float64(10*(i+1))/100 {
			t.Errorf("key %d owes %v", i, s)
		}
	}
	h.clock.move(time.Hour)
	l.Take(name(99), 1)
	if s := l.spent(name(99)); s != 0.01 {
		t.Errorf("in the place of one whose time has passed, a newcomer owes %v", s)
	}
}

// Ten million addresses take the memory that few take, and whoever spent its
// budget before them is still out of it.
func TestTenMillionAddresses(t *testing.T) {
	h := sqlite(t)
	g, err := h.Guesses(ctx, "test", GuessRates{
		Near: Rate{30 * time.Second, 20}, Wide: Rate{10 * time.Second, 100}, Crowd: Rate{time.Microsecond, 1 << 40},
		Known: time.Hour, Vouch: Rate{time.Hour, 10},
	})
	if err != nil {
		t.Fatal(err)
	}
	guilty := netip.MustParseAddr("203.0.113.9")
	for range 20 {
		g.Begin(guilty)
	}
	before := heap()
	const n = 10_000_000
	for i := range n {
		g.Begin(address(i))
	}
	after := heap()
	grown := (int64(after) - int64(before)) >> 20
	t.Logf("%d addresses: %d MiB before, %d MiB after", n, before>>20, after>>20)
	if grown > 8 {
		t.Errorf("the memory grew by %d MiB", grown)
	}
	if _, wait := g.Begin(guilty); wait == 0 {
		t.Error("a flood of addresses made a debt forgotten")
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestNetworks(t *testing.T) {
	h := sqlite(t)
	near := func(s string) Networks { return h.Networks(netip.MustParseAddr(s)) }
	a := near("2001:db8:1:2::1")
	if b := near("2001:db8:1:2:ffff::9"); a != b || !a.Two {
		t.Error("two addresses of a /64 differ")
	}
	if b := near("2001:db8:1:3::1"); a.Near == b.Near || a.Wide != b.Wide {
		t.Error("two /64 of one /48 are the same, or in different ones")
	}
	if b := near("2001:db8:2::1"); a.Wide == b.Wide {
		t.Error("two /48 are the same")
	}
	if near("192.0.2.1") == near("192.0.2.2") || near("192.0.2.1").Two {
		t.Error("two addresses of version 4 are the same")
	}
	if near("192.0.2.1") != near("::ffff:192.0.2.1") {
		t.Error("an address of version 4 within version 6 is another")
	}
	if near("fe80::1%eth0") != near("fe80::1%eth1") {
		t.Error("the zone makes a difference")
	}
	if nowhere := h.Networks(netip.Addr{}); nowhere != h.Networks(netip.Addr{}) {
		t.Error("nowhere is not one place")
	}
	if h.Key("a", []byte("b")) == h.Key("b", []byte("b")) || h.Key("a", []byte("bc")) == h.Key("ab", []byte("c")) {
		t.Error("kinds are not kept apart")
	}
}

func TestMarks(t *testing.T) {
	h := sqlite(t)
	m, err := h.newMarks(ctx, "test", time.Hour, 64)
	if err != nil {
		t.Fatal(err)
	}
	k := key(h.Throttle, "a")
	if m.has(k) {
		t.Error("marked before it was")
	}
	m.set(k)
	h.clock.move(59 * time.Minute)
	if !m.has(k) {
		t.Error("not marked")
	}
	m.set(k)
	h.clock.move(59 * time.Minute)
	if !m.has(k) {
		t.Error("a mark that was set again ended at its first time")
	}
	h.clock.move(2 * time.Minute)
	if m.has(k) {
		t.Error("marked for longer than its life")
	}
}

func TestLimiterMistakes(t *testing.T) {
	h := sqlite(t)
	good := Limits{Name: "test", Rate: Rate{time.Second, 1}}
	h.limiter(good)
	for _, l := range []Limits{good, {Rate: good.Rate}, {Name: "x"}, {Name: "x", Rate: Rate{time.Second, 0}}, {Name: "x", Rate: Rate{time.Nanosecond, 1}}} {
		if _, err := h.Limiter(ctx, l); err == nil {
			t.Errorf("a limiter %+v was made", l)
		}
	}
	if _, err := h.newMarks(ctx, "y", 0, 1); err == nil {
		t.Error("marks without a life were made")
	}
}

func BenchmarkTake(b *testing.B) {
	h := sqlite(b)
	l := h.limiter(Limits{Name: "test", Rate: Rate{time.Second, 5}, Keys: 1 << 18})
	addrs := make([]netip.Addr, 1<<16)
	for i := range addrs {
		addrs[i] = address(i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		l.Take(h.Networks(addrs[i%len(addrs)]).Near, 1)
		i++
	}
}

func BenchmarkGuess(b *testing.B) {
	for name, at := range map[string]func(int) netip.Addr{
		"IPv4": address,
		"IPv6": func(n int) netip.Addr {
			var a [16]byte
			binary.BigEndian.PutUint64(a[:], 0x2001_0db8_0000_0000+uint64(n)*2654435761)
			return netip.AddrFrom16(a)
		},
	} {
		b.Run(name, func(b *testing.B) {
			h := sqlite(b)
			g, err := h.Guesses(ctx, "test", usual)
			if err != nil {
				b.Fatal(err)
			}
			addrs := make([]netip.Addr, 1<<16)
			for i := range addrs {
				addrs[i] = at(i)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				g.Begin(addrs[i%len(addrs)])
				i++
			}
		})
	}
}
