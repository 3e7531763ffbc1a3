package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"troth/internal/fault"
	"troth/internal/jobs"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func enqueue(t testing.TB, db *store.DB, j *jobs.Jobs, queue, key, payload string) {
	t.Helper()
	must(t, db.Write(context.Background(), func(tx *store.Tx) error {
		tx.Unaudited("test")
		return j.EnqueueTx(tx, queue, key, []byte(payload), time.Time{})
	}))
}

// run runs the jobs until the test, or the returned function, ends.
func run(t testing.TB, j *jobs.Jobs) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- j.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func status(t testing.TB, j *jobs.Jobs, name string) jobs.Status {
	t.Helper()
	list, err := j.Status(context.Background())
	must(t, err)
	for _, s := range list {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no status of %s", name)
	return jobs.Status{}
}

// sleep lets time pass in a bubble, and everything happen that then is due.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// bubble runs a test with a clock of its own and a database.
func bubble(t *testing.T, test func(t *testing.T, db *store.DB)) {
	synctest.Test(t, func(t *testing.T) { test(t, storetest.SQLite(t, jobs.Migrations)) })
}

func TestPeriodicWorkRunsOnceASlot(t *testing.T) {
	bubble(t, func(t *testing.T, db *store.DB) {
		var at []time.Time
		var nodes []*jobs.Jobs
		start := time.Now()
		for range 3 {
			j := jobs.New(db, time.Now, nil)
			j.Add(jobs.Periodic{Name: "tick", Every: time.Hour, Run: func(context.Context) error {
				at = append(at, time.Now())
				return nil
			}})
			nodes = append(nodes, j)
			run(t, j)
		}
		sleep(4*time.Hour + time.Minute)
		if len(at) != 5 || at[0].Sub(start) > time.Second {
			t.Fatalf("ran at %v, want at the start and at four full hours", at)
		}
		for _, a := range at[1:] {
			if late := a.Sub(a.Truncate(time.Hour)); late > 6*time.Second {
				t.Errorf("ran %v after the hour", late)
			}
		}
		s := status(t, nodes[1], "tick")
		if !s.LastSuccess.Equal(at[4].Truncate(time.Microsecond)) || !s.Next.Equal(at[4].Truncate(time.Hour).Add(time.Hour)) || s.Alarming {
			t.Fatalf("status %+v", s)
		}
	})
}

func TestAMissedSlotIsMadeUpForOnce(t *testing.T) {
	bubble(t, func(t *testing.T, db *store.DB) {
		var runs atomic.Int32
		node := func() *jobs.Jobs {
			j := jobs.New(db, time.Now, nil)
			j.Add(jobs.Periodic{Name: "tick", Every: time.Hour, Run: func(context.Context) error { runs.Add(1); return nil }})
			return j
		}
		stop := run(t, node())
		sleep(time.Minute)
		stop()
		sleep(30 * time.Hour)
		run(t, node())
		sleep(time.Minute)
		if n := runs.Load(); n != 2 {
			t.Fatalf("ran %d times, want once before and once after the pause", n)
		}
	})
}

func TestEnqueuedWorkIsDoneExactlyWhenItsTransactionIs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		done := make(chan string, 10)
		j := jobs.New(db, nil, nil)
		j.AddQueue(jobs.Queue{Name: "mail", Run: func(_ context.Context, p []byte) error { done <- string(p); return nil }})
		run(t, j)
		undone := errors.New("no")
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			tx.Unaudited("test")
			return errors.Join(j.EnqueueTx(tx, "mail", "", []byte("never"), time.Time{}), undone)
		})
		if !errors.Is(err, undone) {
			t.Fatal(err)
		}
		enqueue(t, db, j, "mail", "", "a")
		enqueue(t, db, j, "mail", "", "b")
		got := []string{<-done, <-done}
		slices.Sort(got)
		if !slices.Equal(got, []string{"a", "b"}) {
			t.Fatalf("done: %q", got)
		}
		for status(t, j, "mail").Running+status(t, j, "mail").Waiting > 0 {
			runtime.Gosched()
		}
		var rows int
		must(t, db.Read(t.Context(), func(tx *store.Tx) error { return tx.QueryRow("SELECT count(*) FROM job").Scan(&rows) }))
		if rows != 0 {
			t.Fatalf("%d rows are left of work that is done", rows)
		}
	}, jobs.Migrations)
}

func TestTwoNodesShareTheWork(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const pieces = 40
		var mu sync.Mutex
		seen := map[string]int{}
		finished := make(chan bool, pieces)
		var nodes []*jobs.Jobs
		for range 2 {
			j := jobs.New(db, nil, nil)
			j.AddQueue(jobs.Queue{Name: "work", Run: func(_ context.Context, p []byte) error {
				mu.Lock()
				seen[string(p)]++
				mu.Unlock()
				finished <- true
				return nil
			}})
			nodes = append(nodes, j)
		}
		for i := range pieces {
			enqueue(t, db, nodes[0], "work", fmt.Sprint(i), fmt.Sprint(i))
		}
		run(t, nodes[0])
		run(t, nodes[1])
		for range pieces {
			<-finished
		}
		mu.Lock()
		defer mu.Unlock()
		for p, n := range seen {
			if n != 1 {
				t.Errorf("%s was done %d times", p, n)
			}
		}
	}, jobs.Migrations)
}

func TestAKeyIsTakenUntilItsWorkIsDone(t *testing.T) {
	bubble(t, func(t *testing.T, db *store.DB) {
		var did []string
		var fail atomic.Bool
		fail.Store(true)
		j := jobs.New(db, time.Now, nil)
		j.AddQueue(jobs.Queue{Name: "q", Attempts: 1, Run: func(_ context.Context, p []byte) error {
			did = append(did, string(p))
			if fail.Load() {
				return errors.New("no")
			}
			return nil
		}})
		enqueue(t, db, j, "q", "k", "one")
		enqueue(t, db, j, "q", "k", "two")
		run(t, j)
		sleep(time.Minute)
		if s := status(t, j, "q"); !slices.Equal(did, []string{"one"}) || s.Failed != 1 || !s.Alarming {
			t.Fatalf("did %q, status %+v", did, s)
		}
		fail.Store(false)
		enqueue(t, db, j, "q", "k", "three")
		sleep(time.Minute)
		if s := status(t, j, "q"); !slices.Equal(did, []string{"one", "three"}) || s.Failed != 0 || s.Alarming {
			t.Fatalf("did %q, status %+v", did, s)
		}
	})
}

func TestFailuresAreRetriedWithGrowingPausesAndGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T, db *store.DB) {
		var at []time.Time
		secret := "bob@example.com"
		j := jobs.New(db, time.Now, nil)
		j.AddQueue(jobs.Queue{Name: "q", Attempts: 4, Backoff: time.Minute, Run: func(context.Context, []byte) error {
			at = append(at, time.Now())
			if len(at) == 2 {
				panic(secret)
			}
			if len(at) == 3 {
				runtime.Goexit()
			}
			return fmt.Errorf("no mailbox %s", secret)
		}})
		enqueue(t, db, j, "q", "", "x")
		run(t, j)
		sleep(time.Hour)
		if len(at) != 4 {
			t.Fatalf("tried %d times, want 4", len(at))
		}
		for i, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
			if got := at[i+1].Sub(at[i]); got < want || got > want+10*time.Second {
				t.Errorf("pause %d was %v, want about %v", i, got, want)
			}
		}
		s := status(t, j, "q")
		if s.Failed != 1 || s.Waiting != 0 || s.LastError == "" || strings.Contains(s.LastError, secret) {
			t.Fatalf("status %+v", s)
		}
		sleep(9 * 24 * time.Hour)
		if s := status(t, j, "q"); s.Failed != 0 {
			t.Fatalf("given up work was kept for longer than a week: %+v", s)
		}
	})
}

func TestALeaseRunsOutWhenItsNodeDies(t *testing.T) {
	bubble(t, func(t *testing.T, db *store.DB) {
		dead := jobs.New(db, time.Now, nil)
		stuck := make(chan bool)
		var hung atomic.Bool
		queue := jobs.Queue{Name: "q", Timeout: time.Minute, Run: func(context.Context, []byte) error {
			if hung.CompareAndSwap(false, true) {
				<-stuck // a node that died: its work neither ends nor obeys
			}
			return nil
		}}
		dead.AddQueue(queue)
		enqueue(t, db, dead, "q", "", "x")
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() { gone <- dead.Run(ctx) }()
		sleep(time.Second)
		cancel()
		if err := <-gone; err == nil {
			t.Error("a stop that left work running said nothing")
		}
		alive := jobs.New(db, time.Now, nil)
		alive.AddQueue(queue)
		run(t, alive)
		sleep(30 * time.Second)
		if s := status(t, alive, "q"); s.Running != 1 {
			t.Fatalf("the lease was taken before it ran out: %+v", s)
		}
		sleep(time.Minute)
		if s := status(t, alive, "q"); s.Running != 0 || s.Waiting != 0 {
			t.Fatalf("the lease was not taken over: %+v", s)
		}
		// The dead node wakes up and believes that it is done: nobody minds.
		enqueue(t, db, alive, "q", "next", "y")
		close(stuck)
		sleep(time.Minute)
		if s := status(t, alive, "q"); s.Failed != 0 || s.Waiting != 0 {
			t.Fatalf("%+v", s)
		}
	})
}

func TestAStopFinishesOrReleases(t *testing.T) {
	bubble(t, func(t *testing.T, db *store.DB) {
		var quick, slow atomic.Int32
		j := jobs.New(db, time.Now, nil)
		j.AddQueue(jobs.Queue{Name: "quick", Run: func(ctx context.Context, _ []byte) error {
			time.Sleep(3 * time.Second)
			quick.Add(1)
			return ctx.Err()
		}}, jobs.Queue{Name: "slow", Timeout: time.Hour, Run: func(ctx context.Context, _ []byte) error {
			slow.Add(1)
			<-ctx.Done()
			return ctx.Err()
		}})
		enqueue(t, db, j, "quick", "", "")
		enqueue(t, db, j, "slow", "", "")
		stop := run(t, j)
		sleep(time.Second)
		stop()
		q, s := status(t, j, "quick"), status(t, j, "slow")
		if quick.Load() != 1 || q.Waiting+q.Running != 0 || slow.Load() != 1 || s.Waiting != 1 || s.Running != 0 {
			t.Fatalf("quick %d %+v, slow %d %+v", quick.Load(), q, slow.Load(), s)
		}
		var attempts int
		must(t, db.Read(t.Context(), func(tx *store.Tx) error { return tx.QueryRow("SELECT attempts FROM job").Scan(&attempts) }))
		if attempts != 0 {
			t.Fatalf("a released attempt was counted: %d", attempts)
		}
	})
}

func TestWorkIsBoundedAndOneQueueLeavesRoom(t *testing.T) {
	bubble(t, func(t *testing.T, db *store.DB) {
		var now, most, other atomic.Int32
		j := jobs.New(db, time.Now, nil)
		j.AddQueue(jobs.Queue{Name: "flood", Run: func(context.Context, []byte) error {
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(10 * time.Second)
			now.Add(-1)
			return nil
		}}, jobs.Queue{Name: "other", Run: func(context.Context, []byte) error { other.Add(1); return nil }})
		for range 30 {
			enqueue(t, db, j, "flood", "", "")
		}
		run(t, j)
		sleep(time.Second)
		enqueue(t, db, j, "other", "", "")
		sleep(time.Second)
		if other.Load() != 1 {
			t.Error("a full queue kept another one waiting")
		}
		sleep(5 * time.Minute)
		if s := status(t, j, "flood"); most.Load() != 4 || s.Waiting+s.Running != 0 {
			t.Fatalf("at most %d at once, %+v", most.Load(), s)
		}
	})
}

func TestTheAbsenceOfSuccessAlarmsAndItsReturnEndsIt(t *testing.T) {
	bubble(t, func(t *testing.T, db *store.DB) {
		var mu sync.Mutex
		var heard []jobs.Alarm
		all := func() []jobs.Alarm {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(heard)
		}
		var broken atomic.Bool
		broken.Store(true)
		j := jobs.New(db, time.Now, nil)
		j.Add(jobs.Periodic{Name: "check", Every: 10 * time.Minute, Alarm: 25 * time.Minute, Run: func(context.Context) error {
			if broken.Load() {
				return fault.New(fault.Unavailable, "test.down", "The thing is down.")
			}
			return nil
		}})
		j.AddQueue(jobs.Queue{Name: "q", Alarm: 20 * time.Minute, Attempts: 1000, Run: func(context.Context, []byte) error {
			if broken.Load() {
				return errors.New("no")
			}
			return nil
		}})
		j.OnAlarm(func(a jobs.Alarm) {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, a)
		})
		enqueue(t, db, j, "q", "", "x")
		run(t, j)
		sleep(15 * time.Minute)
		if alarms := all(); len(alarms) != 0 {
			t.Fatalf("alarmed too early: %+v", alarms)
		}
		sleep(45 * time.Minute)
		alarms := all()
		if len(alarms) != 2 || alarms[0].Name != "q" && alarms[1].Name != "q" {
			t.Fatalf("alarms %+v", alarms)
		}
		for _, a := range alarms {
			if a.Name == "check" && (a.LastError != "The thing is down." || !a.LastSuccess.IsZero()) {
				t.Errorf("alarm %+v", a)
			}
		}
		broken.Store(false)
		sleep(2 * time.Hour)
		if alarms = all(); len(alarms) != 4 || !alarms[2].Over || !alarms[3].Over {
			t.Fatalf("alarms %+v", alarms)
		}
	})
}

func TestRunNow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		enter, leave := make(chan bool, 1), make(chan bool)
		j := jobs.New(db, nil, nil)
		j.Add(jobs.Periodic{Name: "p", Every: 24 * time.Hour, Run: func(context.Context) error {
			enter <- true
			<-leave
			return nil
		}})
		first := make(chan error, 1)
		go func() { first <- j.RunNow(t.Context(), "p") }()
		<-enter
		if err := j.RunNow(t.Context(), "p"); fault.KindOf(err) != fault.Conflict {
			t.Errorf("a second run at the same time: %v", err)
		}
		leave <- true
		must(t, <-first)
		if s := status(t, j, "p"); s.LastSuccess.IsZero() || !s.Next.After(time.Now()) {
			t.Errorf("status %+v", s)
		}
		if err := j.RunNow(t.Context(), "nobody"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("an unknown job: %v", err)
		}
	}, jobs.Migrations)
}

func TestMistakesAreRefused(t *testing.T) {
	db := storetest.SQLite(t, jobs.Migrations)
	j := jobs.New(db, nil, nil)
	nop := func(context.Context) error { return nil }
	j.Add(jobs.Periodic{Name: "p", Every: time.Second, Run: nop})
	for name, mistake := range map[string]func(){
		"the same name":    func() { j.Add(jobs.Periodic{Name: "p", Every: time.Second, Run: nop}) },
		"no name":          func() { j.Add(jobs.Periodic{Every: time.Second, Run: nop}) },
		"no period":        func() { j.Add(jobs.Periodic{Name: "x", Run: nop}) },
		"nothing to run":   func() { j.AddQueue(jobs.Queue{Name: "y"}) },
		"a queue's name":   func() { j.AddQueue(jobs.Queue{Name: "p", Run: func(context.Context, []byte) error { return nil }}) },
		"periodic no work": func() { j.Add(jobs.Periodic{Name: "z", Every: time.Second}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was accepted", name)
				}
			}()
			mistake()
		}()
	}
	for _, queue := range []string{"nobody", "p"} {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			tx.Unaudited("test")
			return j.EnqueueTx(tx, queue, "", nil, time.Time{})
		})
		if err == nil {
			t.Errorf("work for %q was accepted", queue)
		}
	}
	j.AddQueue(jobs.Queue{Name: "q", Run: func(context.Context, []byte) error { return nil }})
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		tx.Unaudited("test")
		return j.EnqueueTx(tx, "q", "", make([]byte, 1<<20), time.Time{})
	})
	if err == nil {
		t.Error("a payload of a megabyte was accepted")
	}
}

func TestAStoreThatFailsDelaysTheWorkAndLosesNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var op, broken atomic.Int64
		o := storetest.SQLiteOptions(t)
		o.Fault = func(string) store.Outcome {
			if broken.Load() == 0 {
				return store.Works
			}
			return store.Outcome(op.Add(1) % 3) // works, lost, persisted
		}
		db := storetest.Open(t, o, jobs.Migrations)
		done := map[string]int{}
		var mu sync.Mutex
		j := jobs.New(db, time.Now, nil)
		j.AddQueue(jobs.Queue{Name: "q", Timeout: 10 * time.Second, Run: func(_ context.Context, p []byte) error {
			mu.Lock()
			defer mu.Unlock()
			done[string(p)]++
			return nil
		}})
		for i := range 20 {
			enqueue(t, db, j, "q", fmt.Sprint(i), fmt.Sprint(i))
		}
		broken.Store(1)
		run(t, j)
		sleep(5 * time.Minute)
		broken.Store(0)
		sleep(10 * time.Minute)
		if s := status(t, j, "q"); len(done) != 20 || s.Waiting+s.Running+s.Failed != 0 {
			t.Fatalf("%d of 20 done, %+v", len(done), s)
		}
	})
}
