package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/backup"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/trust"
	"troth/verify"
)

// fuse makes one operation of one part of an installation fail: the N-th after
// it was lit.
type fuse struct {
	mu     sync.Mutex
	target string // "store", "ring", "root"
	at     int    // 0: nothing fails
	how    store.Outcome
	blown  bool
}

func (f *fuse) light(target string, at int, how store.Outcome) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.target, f.at, f.how, f.blown = target, at, how, false
}

// out puts it out, and reports whether it blew.
func (f *fuse) out() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = 0
	return f.blown
}

func (f *fuse) meet(target string) store.Outcome {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at == 0 || f.target != target {
		return store.Works
	}
	if f.at--; f.at > 0 {
		return store.Works
	}
	f.blown = true
	return f.how
}

func (f *fuse) faults() faults {
	return faults{
		store: func(string) store.Outcome { return f.meet("store") },
		ring:  func(string) store.Outcome { return f.meet("ring") },
		root:  func(r keys.Root) keys.Root { return fragile{r, f} },
	}
}

// fragile is a root key that fails.
type fragile struct {
	keys.Root
	fuse *fuse
}

var errFuse = errors.New("the root key does not answer")

// through runs one operation as the fuse will have it.
func through[T any](f *fuse, do func() (T, error)) (T, error) {
	var nothing T
	switch f.meet("root") {
	case store.Lost:
		return nothing, errFuse
	case store.Persisted:
		if _, err := do(); err != nil {
			return nothing, err
		}
		return nothing, errFuse
	}
	return do()
}

func (r fragile) Current(ctx context.Context) (string, error) {
	return through(r.fuse, func() (string, error) { return r.Root.Current(ctx) })
}

func (r fragile) Create(ctx context.Context) (string, error) {
	return through(r.fuse, func() (string, error) { return r.Root.Create(ctx) })
}

func (r fragile) Wrap(ctx context.Context, epoch string, plain, aad []byte) ([]byte, error) {
	return through(r.fuse, func() ([]byte, error) { return r.Root.Wrap(ctx, epoch, plain, aad) })
}

func (r fragile) Unwrap(ctx context.Context, epoch string, wrapped, aad []byte) ([]byte, error) {
	return through(r.fuse, func() ([]byte, error) { return r.Root.Unwrap(ctx, epoch, wrapped, aad) })
}

func (r fragile) Destroy(ctx context.Context, epoch string) (time.Time, error) {
	return through(r.fuse, func() (time.Time, error) { return r.Root.Destroy(ctx, epoch) })
}

// deed is one whole action of somebody at the front door.
type deed struct {
	event string             // what stands in the log when it is done
	fact  string             // SQL that counts what it changes
	args  []any              //
	do    func() *trust.Page // tries it
}

// stage prepares a deed that was not tried before.
type stage struct {
	name string
	set  func(s *sweep) deed
}

// sweep is an installation whose operations fail one after the other.
type sweep struct {
	*house
	fuse  *fuse
	n     int
	owner *who
	org   string
	state string
}

func newSweep(t *testing.T) *sweep {
	f := &fuse{}
	h := plan(t)
	h.o.faults = f.faults()
	h.serve()
	s := &sweep{house: h, fuse: f, state: filepath.Join(t.TempDir(), "seen")}
	s.owner = h.person("olga")
	s.org = string(s.owner.organisation("Orchard"))
	return s
}

func (s *sweep) name() string { s.n++; return fmt.Sprintf("guest%d", s.n) }

func (s *sweep) posts(w *who, path string, fields ...string) func() *trust.Page {
	return func() *trust.Page {
		p, err := w.Post(context.Background(), path, fields...)
		if err != nil {
			s.t.Fatal(err)
		}
		return p
	}
}

// deeds are the actions that are swept.
var deeds = []stage{
	{"sign up", func(s *sweep) deed {
		w := &who{Visitor: s.visitor(), h: s.house}
		name := s.name()
		return deed{event: "account.sign_up_asked", fact: `SELECT count(*) FROM account_link`,
			do: s.posts(w, "/-/signup", "email", addressOf(name), "name", name, "password", passwordOf(name))}
	}},
	{"confirm", func(s *sweep) deed {
		w := &who{Visitor: s.visitor(), h: s.house}
		name, since := s.name(), s.clock.now()
		p := s.posts(w, "/-/signup", "email", addressOf(name), "name", name, "password", passwordOf(name))()
		s.want(p, nil, http.StatusSeeOther)
		return deed{event: "account.signed_up", fact: `SELECT count(*) FROM account`, do: s.posts(w, s.linkIn(s.letter(addressOf(name), since)))}
	}},
	{"sign in", func(s *sweep) deed {
		w := &who{Visitor: s.visitor(), h: s.house}
		s.forgive()
		return deed{event: "account.signed_in", fact: `SELECT count(*) FROM session WHERE account = $1`, args: []any{s.owner.account},
			do: s.posts(w, "/-/signin", "email", s.owner.address, "password", s.owner.password)}
	}},
	{"invite", func(s *sweep) deed {
		return deed{event: "tenant.invited", fact: `SELECT count(*) FROM tenant_invitation WHERE outcome = ''`,
			do: s.posts(s.owner, "/-/org/invite", "email", addressOf(s.name()), "role", "member")}
	}},
	{"accept", func(s *sweep) deed {
		w := s.person(s.name())
		return deed{event: "tenant.joined", fact: `SELECT count(*) FROM tenant_person WHERE account = $1`, args: []any{w.account},
			do: s.posts(w, s.owner.invite(w.address, access.Member))}
	}},
	{"change role", func(s *sweep) deed {
		w := s.person(s.name())
		s.posts(w, s.owner.invite(w.address, access.Member))()
		return deed{event: "tenant.role_changed", fact: `SELECT count(*) FROM tenant_person WHERE account = $1 AND role = 'viewer'`, args: []any{w.account},
			do: s.posts(s.owner, "/-/org/people/"+string(w.account), "role", "viewer")}
	}},
	{"change password", func(s *sweep) deed {
		w := s.person(s.name())
		var old string
		s.read(func(tx *store.Tx) error {
			return tx.QueryRow(`SELECT password FROM account WHERE account = $1`, w.account).Scan(&old)
		})
		return deed{event: "account.password_changed", fact: `SELECT count(*) FROM account WHERE account = $1 AND password <> $2`, args: []any{w.account, old},
			do: s.posts(w, "/-/account/password", "current", w.password, "password", w.password+" and more")}
	}},
}

// forgive forgets the guesses that a fault cut short, which count as wrong ones:
// the sweep is about each fault by itself.
func (s *sweep) forgive() {
	s.t.Helper()
	err := s.in.db.Write(s.t.Context(), func(tx *store.Tx) error {
		tx.Unaudited("a test begins anew")
		_, err := tx.Exec(`DELETE FROM account_guess`)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestNothingIsHalfDone fails every operation of every action, in turn, before
// and after it took effect. The action is then wholly done and in the log, or
// not at all; what was answered was an error or the truth; the log verifies and
// continues the one before.
func TestNothingIsHalfDone(t *testing.T) {
	for _, st := range deeds {
		t.Run(st.name, func(t *testing.T) {
			t.Parallel()
			s := newSweep(t)
			for _, target := range []string{"store", "ring", "root"} {
				for _, how := range []store.Outcome{store.Lost, store.Persisted} {
					s.all(st, target, how)
				}
			}
		})
	}
}

// most is more operations than any action has.
const most = 80

func (s *sweep) all(st stage, target string, how store.Outcome) {
	s.t.Helper()
	for n := 1; ; n++ {
		if n > most {
			s.t.Fatalf("%s: after %d operations of the %s there is no end", st.name, most, target)
		}
		d := st.set(s)
		fact, events := s.count(d), s.events()[d.event]
		s.in.keys.Evict() // so that the keyring and the root key are asked
		s.fuse.light(target, n, how)
		p := d.do()
		blown := s.fuse.out()
		s.steady()
		done, logged := s.count(d)-fact, s.events()[d.event]-events
		where := fmt.Sprintf("%s, operation %d of the %s, outcome %d, answered %d", st.name, n, target, how, p.Status)
		if done != logged {
			s.t.Fatalf("%s: %d done, %d events", where, done, logged)
		}
		if ok := p.Status == http.StatusSeeOther; ok && done != 1 {
			s.t.Fatalf("%s: acknowledged, and not done", where)
		} else if !ok && p.Status < 500 {
			s.t.Fatalf("%s: that is no answer to a fault: %s", where, told(p))
		}
		if !blown {
			if done != 1 {
				s.t.Fatalf("%s: nothing failed, and it was not done", where)
			}
			s.t.Logf("%s: %d operations of the %s failed in turn (outcome %d)", st.name, n-1, target, how)
			s.proven(s.state)
			return
		}
		if n%4 == 1 {
			s.proven(s.state)
		}
	}
}

func (s *sweep) count(d deed) (n int) {
	s.t.Helper()
	s.read(func(tx *store.Tx) error { return tx.QueryRow(d.fact, d.args...).Scan(&n) })
	return n
}

// TestKeysAreRolledOrNot sweeps a roll of the keyring: whatever fails, every
// key can be opened, and doing it again comes to its end.
func TestKeysAreRolledOrNot(t *testing.T) {
	t.Parallel()
	s := newSweep(t)
	for _, target := range []string{"ring", "root"} {
		for _, how := range []store.Outcome{store.Lost, store.Persisted} {
			for n := 1; ; n++ {
				if n > 400 {
					t.Fatal("there is no end")
				}
				s.fuse.light(target, n, how)
				_, err := s.in.keys.Roll(t.Context(), func(int, int) {})
				blown := s.fuse.out()
				if !blown && err != nil {
					t.Fatal(err)
				}
				s.in.keys.Evict()
				p, perr := s.owner.Get(t.Context(), "/-/account/")
				s.want(p, perr, http.StatusOK)
				if !blown {
					break
				}
				if n > 12 {
					n += 6 // the middle is all alike
				}
			}
		}
	}
	s.proven(s.state)
}

// TestABackupIsWholeOrRefused sweeps a backup: one that was acknowledged is
// whole and in the log.
func TestABackupIsWholeOrRefused(t *testing.T) {
	t.Parallel()
	s := newSweep(t)
	key, err := verify.ParseKey(s.in.audit.VKey())
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"store", "ring"} {
		for _, how := range []store.Outcome{store.Lost, store.Persisted} {
			for n := 1; ; n++ {
				dir := filepath.Join(t.TempDir(), "b")
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				before := s.events()["backup.taken"]
				s.fuse.light(target, n, how)
				made, err := backup.Take(t.Context(), checker(), dir, s.in.BackupSource(), func(string, int, int) {})
				blown := s.fuse.out()
				s.steady()
				if err == nil {
					for _, half := range []string{"data", "keyring"} {
						_, found, err := verify.Backup(filepath.Join(made.Dir, half), half, key)
						if err != nil || len(found) > 0 {
							t.Fatalf("operation %d of the %s: an acknowledged backup is not whole: %v %v", n, target, err, found)
						}
					}
					if s.events()["backup.taken"] != before+1 {
						t.Fatalf("operation %d of the %s: an acknowledged backup is not in the log", n, target)
					}
				}
				if !blown {
					break
				}
				if n > most {
					t.Fatal("there is no end")
				}
			}
		}
	}
	s.proven(s.state)
}
