package plug

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// sending changes the fields of forms to a path before they arrive.
func sending(path string, change func(form url.Values)) func(*door) {
	return before(func(r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != path {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return
		}
		change(form)
		body = []byte(form.Encode())
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(body))), int64(len(body))
	})
}

// answering answers requests for a path by itself.
func answering(path, body string) func(*door) {
	return func(d *door) {
		d.wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != path {
					next.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, body) // the client is the test itself
			})
		}
	}
}

func TestRulesFail(t *testing.T) {
	instead := func(from func(string) bool, to func(string) string) func(url.Values) {
		return func(form url.Values) {
			if p := form.Get("password"); from(p) {
				form.Set("password", to(p))
			}
		}
	}
	long := func(p string) bool { return len(p) > 1024 }
	for name, c := range map[string]struct {
		sees   string
		change func(*door)
	}{
		"short ones are padded": {"a password of 14 characters: expected password.short", sending(pathPassword, instead(
			func(p string) bool { return len(p) == 14 }, func(p string) string { return p + " and more of it" }))},
		"long ones are cut off": {"signing in with it: expected 303", sending(pathPassword, instead(long, func(p string) string { return string([]rune(p)[:64]) }))},
		"spaces are left out": {"signing in with it: expected 303", sending(pathPassword, instead(
			func(p string) bool { return strings.Contains(p, "🌸") }, func(p string) string { return strings.ReplaceAll(p, " ", "") }))},
		"accents are told apart": {"signing in with it: expected 303", sending("/-/signin", instead(long, func(p string) string { return strings.ReplaceAll(p, "\u0301", "\u0341\u034f") }))},
		"no emoji":               {"with spaces, accents and emoji: expected 303", sending(pathPassword, instead(func(p string) bool { return strings.Contains(p, "🌸") }, func(string) string { return "short" }))},
		"a meter that disagrees": {"the meter about it", answering(pathStrength, `{"score":4,"says":"Very good indeed.","accepted":true}`)},
		"no password managers":   {"autocomplete", answering(pathPassword, `{}`)},
		"nothing well-known":     {"change-password leads", answering("/.well-known/change-password", `{}`)},
	} {
		t.Run(name, func(t *testing.T) { breaks(t, checkRules, c.sees, c.change) })
	}
}

func TestMeterFails(t *testing.T) {
	for name, c := range map[string]struct {
		sees   string
		change func(*door)
	}{
		"everything is strong":  {"the score of one common word", answering(pathStrength, `{"score":4,"says":"Very good indeed.","accepted":true}`)},
		"nothing is":            {"24 random small letters", answering(pathStrength, `{"score":0,"says":"Use a capital, a digit and a mark.","accepted":false}`)},
		"it says nothing":       {"the words about it", answering(pathStrength, `{"score":0,"accepted":false}`)},
		"it knows nobody":       {"the score of a name, for whoever is called so", sending(pathStrength, func(form url.Values) { form.Del("name") })},
		"a page without meters": {"the page to sign up has a meter", answering("/-/signup", `<input autocomplete="new-password">`)},
	} {
		t.Run(name, func(t *testing.T) { breaks(t, checkMeter, c.sees, c.change) })
	}
}
