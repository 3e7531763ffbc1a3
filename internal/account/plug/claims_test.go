package plug

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"troth/internal/access"
	"troth/internal/account"
	"troth/internal/mail"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/trust"
	"troth/internal/web"
)

const (
	checkPassword = "account.stored_password"
	checkSessions = "account.sessions"
	checkExpiry   = "account.session_expiry"
	checkGuessing = "account.guessing"
	checkMeter    = "account.strength_meter"
	checkRules    = "account.password_rules"
)

// The checks pass, again and again, in every mode of sign-up, and tell nothing
// that is not public.
func TestChecksPass(t *testing.T) {
	for _, mode := range []string{account.SignupOpen, account.SignupClosed} {
		t.Run(mode, func(t *testing.T) {
			d := open(t, func(d *door) { d.config.Mode = mode })
			b := d.bench()
			for _, check := range []string{checkPassword, checkSessions, checkExpiry, checkGuessing, checkMeter, checkRules, checkPassword, checkSessions, checkExpiry, checkGuessing, checkMeter, checkRules} {
				r, err := d.run(b, check)
				if err != nil {
					t.Fatalf("%s could not be exercised: %v", check, err)
				}
				if !r.Passed || len(r.Observed) < 7 {
					t.Errorf("%s did not pass, with %d observations:\n%s", check, len(r.Observed), unexpected(r))
				}
				for _, o := range r.Observed {
					if s := o.What + o.Expected + o.Seen; strings.Contains(s, "@") || strings.Contains(s, "acc_") || strings.Contains(s, "ses_") || strings.Contains(s, "$") {
						t.Errorf("an observation holds an identifier, an address or a hash: %q", s)
					}
				}
			}
		})
	}
}

func unexpected(r trust.Result) string {
	var b strings.Builder
	for _, o := range r.Observed {
		if o.Expected != o.Seen {
			fmt.Fprintf(&b, "%s: expected %s, seen %s\n", o.What, o.Expected, o.Seen)
		}
	}
	return b.String()
}

// breaks runs a check on a door that was broken, and wants it to fail and to
// have seen why.
func breaks(t *testing.T, check, sees string, change ...func(*door)) {
	t.Helper()
	d := open(t, change...)
	r, err := d.run(d.bench(), check)
	if err != nil {
		t.Fatalf("the check could not be exercised, so it shows nothing: %v", err)
	}
	if r.Passed {
		t.Fatalf("%s passes although what it watches is broken", check)
	}
	for _, each := range strings.Split(sees, " & ") {
		if !strings.Contains(unexpected(r), each) {
			t.Errorf("the check failed without seeing %q:\n%s", each, unexpected(r))
		}
	}
}

// broken is a hashing that does not do what the claim says.
type broken struct {
	hash func(password string) string
}

func (b broken) Hash(_ context.Context, p secret.String) (string, error) {
	return b.hash(p.Reveal()), nil
}

func (b broken) Verify(_ context.Context, stored string, p secret.String) (password.Verdict, error) {
	if h, err := password.ParseHash(stored); err == nil {
		return password.Verdict{Match: h.Is(p.Reveal())}, nil
	}
	return password.Verdict{Match: stored != "" && b.hash(p.Reveal()) == stored}, nil
}

func argon(password string, salt []byte, memory, passes uint32) string {
	enc := base64.RawStdEncoding
	tag := argon2.IDKey([]byte(password), salt, passes, memory, 1, 32)
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=1$%s$%s", memory, passes, enc.EncodeToString(salt), enc.EncodeToString(tag))
}

func TestStoredPasswordFails(t *testing.T) {
	fresh := func() []byte { s := secret.NewToken().Reveal(); return []byte(s[:16]) }
	for name, c := range map[string]struct {
		sees string
		hash func(string) string
	}{
		"in plain text":        {"hold the password", func(p string) string { return p }},
		"in base 64":           {"hold the password", func(p string) string { return base64.StdEncoding.EncodeToString([]byte(p)) }},
		"by a fast hash":       {"the stored password of account 1: expected argon2id", func(p string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(p))) }},
		"by a cheap Argon2id":  {"the stored password of account 1: expected argon2id", func(p string) string { return argon(p, fresh(), 1024, 1) }},
		"with one salt":        {"the salts of two accounts with the same password", func(p string) string { return argon(p, []byte("the same for all"), 64*1024, 4) }},
		"with a short salt":    {"the lengths of salt and hash", func(p string) string { return argon(p, fresh()[:8], 64*1024, 4) }},
		"by a hash of nothing": {"is the hash of what was typed", func(string) string { return argon("nothing", fresh(), 64*1024, 4) }},
	} {
		t.Run(name, func(t *testing.T) {
			hashing := broken{c.hash}
			var h password.Hashing = hashing
			if name == "by a hash of nothing" {
				h = anything{hashing}
			}
			breaks(t, checkPassword, c.sees, func(d *door) { d.hashing = h })
		})
	}
}

// anything lets every password in.
type anything struct{ broken }

func (anything) Verify(_ context.Context, stored string, _ secret.String) (password.Verdict, error) {
	return password.Verdict{Match: stored != ""}, nil
}

// The machine became faster than the calibration, or the calibration aimed at
// more than is done.
func TestStoredPasswordFailsWhenItIsTooQuick(t *testing.T) {
	weak, err := password.NewHasher(password.Floor, 256<<20, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	breaks(t, checkPassword, "the stored password of account 1", func(d *door) { d.target, d.hashing = 400*time.Millisecond, weak })
}

func TestAnyPasswordOpens(t *testing.T) {
	good, err := password.NewHasher(password.Params{Memory: 64 * 1024, Passes: 2, Lanes: 1}, 256<<20, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	breaks(t, checkPassword, "signing in with a wrong password", func(d *door) { d.hashing = lenient{good} })
}

// There shall be a pepper, and hashes are made without.
func TestStoredPasswordFailsWithoutItsPepper(t *testing.T) {
	good, err := password.NewHasher(password.Params{Memory: 64 * 1024, Passes: 2, Lanes: 1}, 256<<20, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	breaks(t, checkPassword, "was made under the pepper", func(d *door) { d.config.PasswordPepper, d.hashing = true, good })
}

// The claim holds of PBKDF2 with a pepper as it does of Argon2id without.
func TestStoredPasswordHoldsByChoice(t *testing.T) {
	d := open(t, func(d *door) { d.config.PasswordHash, d.config.PasswordPepper = "pbkdf2-sha256", true })
	if r, err := d.run(d.bench(), checkPassword); err != nil || !r.Passed {
		t.Errorf("the check failed: %v\n%s", err, unexpected(r))
	}
}

type lenient struct{ password.Hashing }

func (l lenient) Verify(ctx context.Context, stored string, p secret.String) (password.Verdict, error) {
	v, err := l.Hashing.Verify(ctx, stored, p)
	v.Match = stored != ""
	return v, err
}

// before changes requests, after changes the headers of answers.
func before(change func(r *http.Request)) func(*door) {
	return func(d *door) {
		d.wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { change(r); next.ServeHTTP(w, r) })
		}
	}
}

// rewriting changes the cookies that are set.
type rewriting struct {
	http.ResponseWriter
	change func(cookie string) string
}

func (w rewriting) WriteHeader(status int) {
	lines := w.Header()["Set-Cookie"]
	for i := range lines {
		lines[i] = w.change(lines[i])
	}
	w.ResponseWriter.WriteHeader(status)
}

func setCookies(change func(string) string) func(*door) {
	return func(d *door) {
		d.wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(rewriting{w, change}, r) })
		}
	}
}

// skipping answers a form as if it had been done.
func skipping(does func(r *http.Request) bool) func(*door) {
	return func(d *door) {
		d.wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost && does(r) {
					w.Header().Set("Location", "/-/account/sessions")
					w.WriteHeader(http.StatusSeeOther)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	}
}

// remembering is an authenticator that never forgets whom it has seen.
type remembering struct {
	web.Authenticator
	mu   *sync.Mutex
	seen map[string]access.Subject
}

func (m remembering) Authenticate(r *http.Request) (access.Subject, error) {
	s, err := m.Authenticator.Authenticate(r)
	token := cookieValue(r.Header["Cookie"], sessionCookie)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil && s.Kind == access.KindPerson {
		m.seen[token] = s
	} else if old, ok := m.seen[token]; ok {
		return old, nil
	}
	return s, err
}

func never(d *door) {
	d.authn = func(a web.Authenticator) web.Authenticator {
		return remembering{a, &sync.Mutex{}, map[string]access.Subject{}}
	}
}

func TestSessionsFail(t *testing.T) {
	without := func(attribute string) func(*door) {
		return setCookies(func(c string) string { return strings.ReplaceAll(c, "; "+attribute, "") })
	}
	for name, c := range map[string]struct {
		sees   string
		change func(*door)
	}{
		"a cookie in the clear":       {"encrypted connections only", without("Secure")},
		"a cookie for scripts":        {"scripts cannot read it", without("HttpOnly")},
		"a cookie for every site":     {"SameSite", without("SameSite=Lax")},
		"a secret that stays":         {"secret from before", before(func(r *http.Request) { dropCookieAtSignIn(r) })},
		"a list without effect":       {"the next request of the other browser", skipping(func(r *http.Request) bool { return r.URL.Path == pathSessions })},
		"a sign-out without effect":   {"a session that signed out", skipping(func(r *http.Request) bool { return r.URL.Path == "/-/signout" })},
		"an authenticator that keeps": {"the next request of the other browser", never},
		"a notice without effect":     {"the next request of the session that the mail told of", skipping(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, account.PathStop) })},
		"a list without networks":     {"the network of the other browser in the list", before(func(r *http.Request) { r.Header.Del(fromHeader) })},
		"no notice":                   {"the holder is told of it by a mail", func(d *door) { d.post = deaf }},
	} {
		t.Run(name, func(t *testing.T) { breaks(t, checkSessions, c.sees, c.change) })
	}
}

// deafPost loses the notices of sign-ins.
type deafPost struct{ account.Post }

func (p deafPost) SendTx(tx *store.Tx, m mail.Message) error {
	if m.Kind == "account.notice" {
		return nil
	}
	return p.Post.SendTx(tx, m)
}

func deaf(p account.Post) account.Post { return deafPost{p} }

// dropCookieAtSignIn hides the browser's session from the sign-in, so that it
// does not end.
func dropCookieAtSignIn(r *http.Request) {
	if r.Method == http.MethodPost && r.URL.Path == "/-/signin" {
		r.Header.Del("Cookie")
	}
}

func TestExpiryFails(t *testing.T) {
	breaks(t, checkExpiry, "left idle & after its absolute end", never)
}

// A door that is down makes no failure of the claim: it could not be tried.
func TestChecksNeedTheDoor(t *testing.T) {
	d := open(t)
	b := d.bench()
	d.server.Close()
	for _, check := range []string{checkPassword, checkSessions, checkExpiry} {
		if r, err := d.run(b, check); err == nil {
			t.Errorf("%s concluded %v although nobody answered", check, r.Passed)
		}
	}
}

// On a machine so busy that the short sessions end before they are used, the
// check concludes nothing.
func TestABusyMachineIsNoFailure(t *testing.T) {
	d := open(t)
	slow := before(func(r *http.Request) {
		if r.URL.Path == pathSessions {
			_ = d.clock.pass(ctx, shortIdle+time.Second)
		}
	})
	slow(d)
	if r, err := d.run(d.bench(), checkExpiry); !errors.Is(err, errSlow) {
		t.Errorf("the check concluded %v, %v", r.Passed, err)
	}
}
