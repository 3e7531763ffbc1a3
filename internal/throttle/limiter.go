package throttle

import (
	"context"
	"fmt"
	"time"
)

// Rate is a budget: so many at once, and one more each time the interval has
// passed, up to the burst again.
type Rate struct {
	Every time.Duration
	Burst int
}

// window is how long a spent budget takes to be full again, in microseconds.
func (r Rate) window() int64 { return r.cost(r.Burst) }

// cost is what n cells of the budget are worth, in microseconds.
func (r Rate) cost(n int) int64 { return r.Every.Microseconds() * int64(n) }

// Limits describes a [Limiter].
type Limits struct {
	Name string // unique: "http.upload"
	Rate
	Keys  int  // how many keys are told apart; each takes 24 bytes; 0 is 65,536
	Alone bool // what is spent here is not told to other nodes, and is forgotten at a restart
}

// Limiter gives each key a budget. It is safe for concurrent use.
type Limiter struct {
	Limits
	t     *Throttle
	table *table
}

// usualKeys is the size of a limiter's table that does not name one.
const usualKeys = 1 << 16

// Limiter makes a limiter and reads what was spent before and elsewhere. Names
// are unique, and a limiter cannot be undone: make them at the start.
func (t *Throttle) Limiter(ctx context.Context, l Limits) (*Limiter, error) {
	if l.Every < time.Microsecond || l.Burst < 1 || l.window() <= 0 {
		return nil, fmt.Errorf("making the limiter %q: it gives %d at once and one each %s", l.Name, l.Burst, l.Every)
	}
	if l.Keys == 0 {
		l.Keys = usualKeys
	}
	made := &Limiter{Limits: l, t: t, table: newTable(l.Keys)}
	if err := t.register(ctx, l.Name, l.Alone, &state{table: made.table}); err != nil {
		return nil, err
	}
	return made, nil
}

// ahead is how much further than a whole budget nodes at once and clocks that
// differ can spend. What reaches further was spent while the clock was wrong, and
// counts as a whole budget: nobody waits for a year because a clock was a year off.
const ahead = time.Hour

// Take spends n cells of a key's budget. If they are not there it spends nothing,
// and returns how long it takes until they are; 0 means that they were spent.
// More than the burst are never there at once: they cost the whole burst.
func (l *Limiter) Take(k Key, n int) (wait time.Duration) {
	now := l.t.micros()
	cost := l.cost(min(n, l.Burst))
	set, lock := l.table.corner(k)
	e := place(set, k, now)
	if e.until > now+l.window()+ahead.Microseconds() {
		e.until = now + l.window()
	}
	until := max(e.until, now) + cost
	if over := until - now - l.window(); over > 0 {
		lock.Unlock()
		return time.Duration(over) * time.Microsecond
	}
	e.until = until
	lock.Unlock()
	l.tell(k, cost)
	return 0
}

// Give gives n cells back that were taken: what they were spent on turned out
// to be nothing to limit.
func (l *Limiter) Give(k Key, n int) {
	cost := l.cost(min(n, l.Burst))
	set, lock := l.table.corner(k)
	if e := find(set, k); e != nil {
		e.until -= cost
	}
	lock.Unlock()
	l.tell(k, -cost)
}

// spent is the part of a key's budget that is spent, from 0 to 1.
func (l *Limiter) spent(k Key) float64 {
	now := l.t.micros()
	set, lock := l.table.corner(k)
	defer lock.Unlock()
	e := find(set, k)
	if e == nil || e.until <= now {
		return 0
	}
	return min(1, float64(e.until-now)/float64(l.window()))
}

func (l *Limiter) tell(k Key, cost int64) {
	if !l.Alone {
		l.t.pending.add(l.Name, k, cost)
	}
}

// marks remembers keys for a while, in a table of a fixed size: of too many, the
// ones that end first are forgotten.
type marks struct {
	t     *Throttle
	name  string
	life  time.Duration
	table *table
}

// newMarks makes a set of marks that each live for a time after they were last set,
// and reads those that were set before and elsewhere.
func (t *Throttle) newMarks(ctx context.Context, name string, life time.Duration, keys int) (*marks, error) {
	if life < time.Second {
		return nil, fmt.Errorf("making the marks %q: they live for %s", name, life)
	}
	made := &marks{t: t, name: name, life: life, table: newTable(keys)}
	if err := t.register(ctx, name, false, &state{table: made.table, marks: true}); err != nil {
		return nil, err
	}
	return made, nil
}

// set marks a key. A mark that is young already is not written again.
func (m *marks) set(k Key) {
	now := m.t.micros()
	until := now + m.life.Microseconds()
	set, lock := m.table.corner(k)
	e := find(set, k)
	if e != nil && until-e.until < m.life.Microseconds()/16 {
		lock.Unlock()
		return
	}
	raise(set, k, until)
	lock.Unlock()
	m.t.pending.set(m.name, k, until)
}

// has reports whether a key is marked.
func (m *marks) has(k Key) bool {
	now := m.t.micros()
	set, lock := m.table.corner(k)
	defer lock.Unlock()
	e := find(set, k)
	return e != nil && e.until > now
}

// raise moves the moment of a key to a later one; it forgets the least for it,
// and nothing that says more.
func raise(set *[ways]entry, k Key, until int64) {
	e := find(set, k)
	if e == nil {
		e = &set[0]
		for i := range set {
			if set[i].until < e.until {
				e = &set[i]
			}
		}
	}
	if e.until < until {
		e.key, e.until = k, until
	}
}
