package plug

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"troth/internal/access"
	"troth/internal/account"
	"troth/internal/factor"
	"troth/internal/id"
	"troth/internal/store"
	"troth/internal/text"
)

// holders tells the factors about accounts, and accounts about what changed.
type holders struct{ d *door }

func (h holders) HolderTx(ctx context.Context, tx *store.Tx, which id.Account) (factor.Holder, error) {
	a, err := h.d.accounts.HolderTx(ctx, tx, which)
	return factor.Holder{Home: a.Home, Email: a.Email}, err
}

func (h holders) FactorChangedTx(ctx context.Context, tx *store.Tx, by access.Subject, which id.Account, what text.Text, removed bool) error {
	return h.d.accounts.FactorChangedTx(ctx, tx, by, which, what, removed)
}

func (holders) TextsTx(context.Context, *store.Tx, id.Account) (bool, error) { return false, nil }

// apps are the codes of package factor as an account asks for them.
type apps struct{ *factor.Factors }

func (a apps) question(q account.Question) factor.Question {
	return factor.Question{Account: q.Account, Home: q.Home, Kind: q.Kind, For: q.For, By: q.By}
}

func (a apps) OffersTx(ctx context.Context, tx *store.Tx, which id.Account) (all []account.Offer, err error) {
	some, err := a.Factors.OffersTx(ctx, tx, which)
	for _, o := range some {
		all = append(all, account.Offer{Kind: o.Kind, Label: o.Label, Counts: o.Counts, Sends: o.Sends})
	}
	return all, err
}

func (a apps) BeginTx(context.Context, *store.Tx, account.Question) ([]byte, error) { return nil, nil }

func (a apps) AnswerTx(ctx context.Context, tx *store.Tx, q account.Question, with account.Answer) ([]string, error) {
	return a.Factors.AnswerTx(ctx, tx, a.question(q), with.Code)
}

// sound leaves the apps as they are.
func sound(f account.Factors) account.Factors { return f }

const checkFactor = "account.second_factor"

// The check passes, and again, and after one that was broken off.
func TestFactorCheckPasses(t *testing.T) {
	d := open(t, func(d *door) { d.apps = sound })
	b := d.bench()
	run := func(what string) {
		t.Helper()
		r, err := d.run(b, checkFactor)
		if err != nil {
			t.Fatalf("%s: it could not be exercised: %v", what, err)
		}
		if !r.Passed || len(r.Observed) < 15 {
			t.Errorf("%s: it did not pass, with %d observations:\n%s", what, len(r.Observed), unexpected(r))
		}
	}
	run("the first time")
	run("the second time")
	c, err := b.Canary(ctx, "factor")
	if err != nil {
		t.Fatal(err)
	}
	left := &trial{ctx: ctx, b: b}
	if left.enrol(left.browser(c)); left.err != nil {
		t.Fatal(left.err)
	}
	run("after one that was broken off")
}

// lax are apps that do not do what the claim says.
type lax struct {
	account.Factors
	any      bool // every code is right
	again    bool // a code is accepted again and again
	optional bool // nobody is asked
	mu       *sync.Mutex
	good     map[string]bool
}

func (l lax) OffersTx(ctx context.Context, tx *store.Tx, which id.Account) ([]account.Offer, error) {
	if l.optional {
		return nil, nil
	}
	return l.Factors.OffersTx(ctx, tx, which)
}

func (l lax) AnswerTx(ctx context.Context, tx *store.Tx, q account.Question, with account.Answer) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	amr, err := l.Factors.AnswerTx(ctx, tx, q, with)
	if len(amr) > 0 {
		l.good[with.Code.Reveal()] = true
	}
	if l.any && q.Kind == "totp" || l.again && l.good[with.Code.Reveal()] {
		return []string{"otp"}, err
	}
	return amr, err
}

// lender passes the cookie of a sign-in that waits on to whoever has none.
type lender struct {
	mu    sync.Mutex
	token string
}

func (l *lender) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if r.URL.Path == pathCode && !strings.Contains(r.Header.Get("Cookie"), pendingCookie) {
			r.Header.Set("Cookie", pendingCookie+"="+l.token)
		}
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		answer := rec.Result()
		for _, c := range answer.Cookies() {
			if c.Name == pendingCookie && c.Value != "" {
				l.token = c.Value
			}
		}
		for name, values := range answer.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(w, answer.Body)
	})
}

// drop lets a sign-in that waits pass for a session.
func drop(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookie := r.Header.Get("Cookie")
		if r.URL.Path == pathSessions && strings.Contains(cookie, pendingCookie) && !strings.Contains(cookie, sessionCookie+"=") {
			w.WriteHeader(http.StatusOK)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Each promise of the claim that is broken is seen.
func TestFactorCheckFails(t *testing.T) {
	with := func(l lax) func(*door) {
		return func(d *door) {
			d.apps = func(f account.Factors) account.Factors {
				l.Factors, l.mu, l.good = f, &sync.Mutex{}, map[string]bool{}
				return l
			}
		}
	}
	around := func(wrap func(http.Handler) http.Handler) func(*door) {
		return func(d *door) { d.apps, d.wrap = sound, wrap }
	}
	for name, c := range map[string]struct {
		sees   string
		change func(*door)
	}{
		"nobody is asked":          {"where the password alone leads & with the second step left out", with(lax{optional: true})},
		"every code is right":      {"after a wrong code", with(lax{any: true})},
		"a code is used again":     {"after the same recovery code", with(lax{again: true})},
		"the step can be left out": {"with the second step left out", around(drop)},
		"any browser goes on":      {"of a browser that gave the right code and not the password", around((&lender{}).wrap)},
		"a browser is not forgotten": {"in that browser after a second factor was changed", func(d *door) {
			d.apps, d.trigger = sound, `CREATE TRIGGER kept BEFORE UPDATE OF remembered_until ON account_device
				WHEN NEW.remembered_until = 0 BEGIN SELECT RAISE(IGNORE); END`
		}},
		"no browser is remembered": {"in a browser that is to be remembered", func(d *door) { d.apps, d.config.Remember = sound, 0 }},
	} {
		t.Run(name, func(t *testing.T) { breaks(t, checkFactor, c.sees, c.change) })
	}
}
