package plug

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"troth/internal/store"
)

// The check of claim A4 fails when what it promises is broken.
func TestGuessingFails(t *testing.T) {
	var requests atomic.Int64
	for name, c := range map[string]struct {
		sees string
		ruin func(*door)
	}{
		"known browsers are not told apart": {"the owner in a browser that is known", before(func(r *http.Request) {
			cookies := r.Cookies()
			r.Header.Del("Cookie")
			for _, c := range cookies {
				if c.Name != deviceCookie {
					r.AddCookie(c)
				}
			}
		})},
		"all networks are one": {"a wrong guess from another network", before(func(r *http.Request) {
			r.Header.Set(fromHeader, "192.0.2.1")
		})},
		"every request has a network of its own": {"wrong guesses from one network", before(func(r *http.Request) {
			n := requests.Add(1)
			r.Header.Set(fromHeader, fmt.Sprintf("10.0.%d.%d", n>>8&255, n&255))
		})},
		"the mailed link leads nowhere": {"opening the link in a new browser", before(func(r *http.Request) {
			if r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/-/unlock/") {
				r.URL.Path = "/-/unlock/" + strings.Repeat("A", 43)
			}
		})},
		"the answers tell": {"how that differs", func(d *door) {
			d.wrap = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Attempt", fmt.Sprint(requests.Add(1)))
					next.ServeHTTP(w, r)
				})
			}
		}},
	} {
		t.Run(name, func(t *testing.T) { breaks(t, checkGuessing, c.sees, c.ruin) })
	}
}

// Nobody counts: the right password opens after any number of wrong ones.
func TestGuessingFailsWhenNothingIsCounted(t *testing.T) {
	d := open(t)
	err := d.db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("a test breaks it")
		_, err := tx.Exec(`CREATE TRIGGER forget AFTER INSERT ON account_guess BEGIN DELETE FROM account_guess; END`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.run(d.bench(), checkGuessing)
	if err != nil {
		t.Fatal(err)
	}
	if r.Passed || !strings.Contains(unexpected(r), "then the right password of the stranger") {
		t.Errorf("the check did not see it:\n%s", unexpected(r))
	}
}
