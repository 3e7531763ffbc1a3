package account

import (
	"context"
	"encoding/hex"
	"sync"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

func TestSessionsAreListedAndEnded(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, first := h.person(ada, goodWord)
		_, second := h.signIn(ada, goodWord)
		_, third := h.signIn(ada, goodWord)
		eve, _ := h.person("eve@example.org", goodWord)
		list, err := h.Sessions(ctx, by)
		if err != nil || len(list) != 3 {
			t.Fatalf("there are %d sessions, %v", len(list), err)
		}
		if s := list[2]; s.ID != first.Session || !s.Current || s.Device != "Firefox on Linux" || s.Network != "192.0.2.7" || s.SeenAt.IsZero() {
			t.Errorf("the oldest is %+v", s)
		}
		if list[0].Current || list[1].Current {
			t.Error("another session is said to be the present one")
		}
		want(t, h.EndSession(ctx, eve, second.Session), fault.NotFound, "account.no_session")
		if !h.signedIn(second.Token) {
			t.Fatal("somebody else ended the session")
		}
		if err := h.EndSession(ctx, by, second.Session); err != nil {
			t.Fatal(err)
		}
		if h.signedIn(second.Token) || !h.signedIn(third.Token) {
			t.Error("the wrong session ended")
		}
		want(t, h.EndSession(ctx, by, second.Session), fault.NotFound, "account.no_session")
		if n, err := h.EndOthers(ctx, by); err != nil || n != 1 {
			t.Errorf("%d others ended, %v", n, err)
		}
		if h.signedIn(third.Token) || !h.signedIn(first.Token) || h.who(first.Token).Session != by.Session {
			t.Error("the wrong sessions ended")
		}
		if count(h.events(by.Tenant), evEnded) != 1 || count(h.events(by.Tenant), evEndedAll) != 1 {
			t.Errorf("the log has %v", h.events(by.Tenant))
		}
	})
}

// A session ends when it is left idle, however often it was used before, and
// at its absolute end, however much it is used.
func TestExpiry(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		_, s := h.person(ada, goodWord)
		idle := h.Config.Idle.D()
		for range 5 {
			h.clock.add(idle - time.Minute)
			if !h.signedIn(s.Token) {
				t.Fatal("a session that is used ended")
			}
		}
		h.clock.add(idle + time.Second)
		if h.signedIn(s.Token) {
			t.Error("an idle session goes on")
		}
		_, s = h.signIn(ada, goodWord)
		for end := h.clock.now().Add(h.Config.Absolute.D()); h.clock.now().Before(end.Add(-idle)); h.clock.add(idle / 2) {
			if !h.signedIn(s.Token) {
				t.Fatal("a session that is used ended before its time")
			}
		}
		h.clock.add(idle/2 + time.Minute)
		h.signedIn(s.Token)
		h.clock.add(idle/2 + time.Minute)
		if h.signedIn(s.Token) {
			t.Error("a session goes on after its absolute end")
		}
	})
}

// Who is asked again about a request that goes on uses no session: it ends when
// nothing else is done, and what is left of it in a tenant is left as it is.
func TestLookingIsNoUse(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		_, s := h.person(ada, goodWord)
		look := func() bool {
			by, err := h.Look(ctx, s.Token.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			return by.Kind == access.KindPerson
		}
		left := h.Config.Idle.D()
		for ; left > 2*time.Minute; left -= time.Minute {
			if !look() {
				t.Fatalf("an open connection ended %v before its session", left)
			}
			h.clock.add(time.Minute)
		}
		h.clock.add(3 * time.Minute)
		if look() || h.signedIn(s.Token) {
			t.Error("a session that is only looked at goes on")
		}
	})
}

// The last use is written down at most once a minute, and enough for another
// process to know that the session is alive.
func TestLastUseIsWritten(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, s := h.person(ada, goodWord)
		seenAt := func() (at int64) {
			if err := h.seen.flush(ctx); err != nil {
				t.Fatal(err)
			}
			err := h.DB.Read(ctx, func(tx *store.Tx) error {
				return tx.QueryRow(`SELECT seen_at FROM session WHERE session = $1`, by.Session).Scan(&at)
			})
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		began := seenAt()
		h.clock.add(30 * time.Second)
		h.signedIn(s.Token)
		if seenAt() != began {
			t.Error("the last use was written within the minute")
		}
		h.clock.add(31 * time.Second)
		h.signedIn(s.Token)
		if at := seenAt(); at-began < time.Minute.Microseconds() {
			t.Errorf("after a minute the last use moved by %v", time.Duration(at-began)*time.Microsecond)
		}
	})
}

// An account may have shorter lifetimes than the installation, never longer.
func TestLifetimesOfOneAccount(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, _ := h.person(ada, goodWord)
		want(t, h.SetLifetimes(ctx, by, by.Account, time.Second, time.Minute), fault.Denied, "account.host_only")
		want(t, h.SetLifetimes(ctx, host(), by.Account, h.Config.Idle.D()+1, 0), fault.Invalid, "account.lifetime")
		if err := h.SetLifetimes(ctx, host(), by.Account, 2*time.Second, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		_, s := h.signIn(ada, goodWord)
		for range 4 {
			h.clock.add(1900 * time.Millisecond)
			if !h.signedIn(s.Token) {
				t.Fatal("a short session that is used ended")
			}
		}
		h.clock.add(2100 * time.Millisecond)
		if h.signedIn(s.Token) {
			t.Error("after two idle seconds it goes on")
		}
		_, s = h.signIn(ada, goodWord)
		for range 6 {
			h.clock.add(1700 * time.Millisecond)
			h.signedIn(s.Token)
		}
		if h.signedIn(s.Token) {
			t.Error("after ten seconds it goes on")
		}
	})
}

// What one node ends is refused by another within a second, also when both
// had it in memory; the node itself obeys at once.
func TestRevocationReachesEveryNode(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			here := build(t, storetest.Open(t, o, schema()...))
			there := here.start(storetest.Open(t, o, schema()...), here.Keys)
			by, _ := here.person(ada, goodWord)
			for i := range 5 {
				_, s := here.signIn(ada, goodWord)
				for range 2 { // the second time from its cache
					if !there.signedIn(s.Token) {
						t.Fatal("the other node does not know the session")
					}
				}
				if err := here.EndSession(ctx, by, s.Session); err != nil {
					t.Fatal(err)
				}
				if here.signedIn(s.Token) {
					t.Fatalf("round %d: here the token still opens", i)
				}
				for ended := time.Now(); there.signedIn(s.Token); time.Sleep(2 * time.Millisecond) {
					if time.Since(ended) > time.Second {
						t.Fatalf("round %d: after a second the other node still lets it in", i)
					}
				}
			}
		})
	}
}

// A node that cannot read the change feed trusts no memory.
func TestStaleFeedIsNotTrusted(t *testing.T) {
	o := storetest.SQLiteOptions(t)
	here := build(t, storetest.Open(t, o, schema()...))
	by, _ := here.person(ada, goodWord)
	deaf := *here
	n := *here.Accounts
	n.DB = storetest.Open(t, o, schema()...) // its feed is never read
	n.sessions = newCache()
	deaf.Accounts = &n
	for range 5 {
		_, s := here.signIn(ada, goodWord)
		for range 2 { // the second time from its cache
			if !deaf.signedIn(s.Token) {
				t.Fatal("the deaf node does not know the session")
			}
		}
		if err := here.EndSession(ctx, by, s.Session); err != nil {
			t.Fatal(err)
		}
		if deaf.signedIn(s.Token) {
			t.Fatal("a node without a feed let an ended session in")
		}
	}
}

// When the database cannot be read, nobody is signed in and nobody is a
// stranger: the answer is unavailable.
func TestUnreadableSessionsAreRefused(t *testing.T) {
	o := storetest.SQLiteOptions(t)
	broken := false
	o.Fault = func(op string) store.Outcome {
		if broken && op != "write" {
			return store.Lost
		}
		return store.Works
	}
	h := build(t, storetest.Open(t, o, schema()...))
	_, s := h.person(ada, goodWord)
	broken = true
	for name, token := range map[string]string{"unknown": secret.NewToken().Reveal(), "known": s.Token.Reveal()} {
		h.sessions.evict("")
		by, err := h.Authenticate(ctx, token)
		if fault.KindOf(err) != fault.Unavailable || by.Kind != access.KindNobody {
			t.Errorf("%s: %v, %v", name, by.Kind, err)
		}
	}
	if by, err := h.Authenticate(ctx, "no token"); err != nil || by.Kind != access.KindNobody {
		t.Errorf("what is no token: %v, %v", by.Kind, err)
	}
}

// A session that is ended while it is being read is not put back into memory.
func TestEndingWhileLoading(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	var all sync.WaitGroup
	for range 30 {
		_, s := h.signIn(ada, goodWord)
		for range 4 {
			all.Go(func() {
				for range 20 {
					_, _ = h.Authenticate(ctx, s.Token.Reveal())
				}
			})
		}
		if err := h.EndSession(ctx, by, s.Session); err != nil {
			t.Fatal(err)
		}
		if h.signedIn(s.Token) {
			t.Fatal("an ended session opens")
		}
		all.Wait()
		if h.signedIn(s.Token) {
			t.Fatal("an ended session came back")
		}
	}
}

func TestCacheIsBoundedAndMarked(t *testing.T) {
	c := newCache()
	for range 3 * shards * shardSize {
		d, _ := secret.DigestOf(secret.NewToken().Reveal())
		c.put(d, &known{}, c.mark(d))
	}
	n := 0
	for i := range c.shard {
		n += len(c.shard[i].known)
	}
	if n > shards*shardSize {
		t.Errorf("the cache holds %d sessions", n)
	}
	d, _ := secret.DigestOf(secret.NewToken().Reveal())
	before := c.mark(d)
	c.evict(hex.EncodeToString(d[:]))
	c.put(d, &known{}, before)
	if c.get(d) != nil {
		t.Error("what was read before an eviction was kept after it")
	}
	c.put(d, &known{}, c.mark(d))
	c.evict("not a digest")
	if c.get(d) != nil {
		t.Error("a key that cannot be read did not forget everything")
	}
}

func TestSwitch(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, s := h.person(ada, goodWord)
		club := id.New[id.Tenant](h.now())
		if err := h.Keys.Create(ctx, keys.TenantRef(club), 32); err != nil {
			t.Fatal(err)
		}
		want(t, h.Switch(ctx, by, club), fault.NotFound, access.ErrForeign.Code)
		h.write(func(tx *store.Tx) error {
			if err := h.founder.giveTx(tx, club, by.Account, access.Member); err != nil {
				return err
			}
			return h.Access.ChangedTx(tx, club, by.Account)
		})
		if err := h.Switch(ctx, by, club); err != nil {
			t.Fatal(err)
		}
		if now := h.who(s.Token); now.Tenant != club || now.Role != access.Member {
			t.Errorf("now in %s as %q", now.Tenant, now.Role)
		}
		h.write(func(tx *store.Tx) error { // removed: the next request works at home
			if _, err := tx.Exec(`DELETE FROM test_role WHERE tenant = $1`, club); err != nil {
				return err
			}
			return h.Access.ChangedTx(tx, club, by.Account)
		})
		if now := h.who(s.Token); now.Tenant != by.Tenant || now.Role != access.Owner {
			t.Errorf("after the removal in %s as %q", now.Tenant, now.Role)
		}
		if err := h.SignOut(ctx, by); err != nil {
			t.Fatal(err)
		}
		want(t, h.Switch(ctx, by, by.Tenant), fault.Unauthenticated, "account.sign_in")
	})
}

func (h *house) write(fn func(tx *store.Tx) error) {
	h.t.Helper()
	err := h.DB.Write(ctx, func(tx *store.Tx) error { tx.Unaudited("the test sets something up"); return fn(tx) })
	if err != nil {
		h.t.Fatal(err)
	}
}

// One account cannot fill the table: the oldest sessions make room.
func TestSessionsAreBounded(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, first := h.person(ada, goodWord)
		r, _, err := h.find(ctx, by.Account)
		if err != nil {
			t.Fatal(err)
		}
		for range maxSessions + 5 {
			if _, err := h.begin(ctx, stranger(), r, browser{fresh: secret.NewToken()}, proof{amr: amrPassword}); err != nil {
				t.Fatal(err)
			}
		}
		list, err := h.sessionsOf(ctx, by.Account, "")
		if err != nil || len(list) != maxSessions {
			t.Errorf("there are %d sessions, %v", len(list), err)
		}
		if h.signedIn(first.Token) {
			t.Error("the oldest session goes on")
		}
	})
}

// Expired rows are swept, others are not.
func TestSweep(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.person(ada, goodWord)
		h.apply("bob@example.org", goodWord)
		sweep := func() (n int64) {
			h.write(func(tx *store.Tx) error {
				n = 0
				for _, r := range Retention {
					if r.Sweep == nil {
						continue
					}
					each, err := r.Sweep(ctx, tx, h.clock.now())
					if err != nil {
						return err
					}
					n += each
				}
				return nil
			})
			return n
		}
		if n := sweep(); n != 0 {
			t.Errorf("%d rows that are in use were swept", n)
		}
		h.clock.add(25 * time.Hour)
		if n := sweep(); n != 4 {
			t.Errorf("%d expired rows were swept, want a session, a link and two mails that were asked for", n)
		}
	})
}

// The path of every request: no allocation.
func TestCachedCheckAllocatesNothing(t *testing.T) {
	h := sqlite(t)
	_, s := h.person(ada, goodWord)
	token := s.Token.Reveal()
	if n := testing.AllocsPerRun(1000, func() {
		if by, err := h.Authenticate(ctx, token); err != nil || by.Kind != access.KindPerson {
			t.Fatal(by.Kind, err)
		}
	}); n != 0 {
		t.Errorf("a cached check allocates %v times", n)
	}
}

func BenchmarkSessionCached(b *testing.B) {
	h := sqlite(b)
	_, s := h.person(ada, goodWord)
	token := s.Token.Reveal()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Authenticate(ctx, token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSessionUncached(b *testing.B) {
	h := sqlite(b)
	_, s := h.person(ada, goodWord)
	for b.Loop() {
		h.sessions.evict("")
		if _, err := h.Authenticate(ctx, s.Token.Reveal()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSignIn compares signing in with bare Argon2id at the same cost: the
// metric "overhead" is what Troth adds, 1.05 at most.
func BenchmarkSignIn(b *testing.B) {
	h := sqlite(b)
	h.person(ada, goodWord)
	dear, err := password.NewHasher(password.Calibrate(password.Argon2id, Defaults().PasswordTarget.D(), password.Measure), 256<<20, time.Minute)
	if err != nil {
		b.Fatal(err)
	}
	h.hashing.Hashing = dear
	h.signIn(ada, goodWord) // upgrades
	var bare, whole time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := dear.Verify(context.Background(), "", secret.Of(goodWord)); err != nil {
			b.Fatal(err)
		}
		bare += time.Since(start)
		start = time.Now()
		if _, err := h.SignIn(context.Background(), stranger(), attempt(ada, goodWord)); err != nil {
			b.Fatal(err)
		}
		whole += time.Since(start)
	}
	b.ReportMetric(float64(whole)/float64(bare), "overhead")
	b.ReportMetric(float64(bare.Milliseconds())/float64(b.N), "bare-ms/op")
}

// BenchmarkSignInWithoutHash is everything that signing in does besides the
// hash: look-up, sealing, one durable audited transaction.
func BenchmarkSignInWithoutHash(b *testing.B) {
	h := sqlite(b)
	h.person(ada, goodWord)
	h.hashing.Hashing = free{}
	for b.Loop() {
		if _, err := h.SignIn(context.Background(), stranger(), attempt(ada, goodWord)); err != nil {
			b.Fatal(err)
		}
	}
}

// free takes every password, at no cost.
type free struct{ password.Hashing }

func (free) Verify(context.Context, string, secret.String) (password.Verdict, error) {
	return password.Verdict{Match: true}, nil
}
