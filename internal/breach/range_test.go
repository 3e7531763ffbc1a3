package breach

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"troth/internal/config"
	"troth/internal/password"
	"troth/internal/secret"
)

// service speaks the range API over HTTPS on this machine.
type service struct {
	*httptest.Server
	words  []string
	asked  atomic.Int64
	answer func(w http.ResponseWriter, r *http.Request) // nil: as the API does
	seen   atomic.Pointer[http.Request]
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	s.seen.Store(r)
	if s.answer != nil {
		s.answer(w, r)
		return
	}
	prefix := strings.TrimPrefix(r.URL.Path, "/range/")
	for i, word := range s.words {
		sum := sha1.Sum([]byte(word))
		if digits := strings.ToUpper(hex.EncodeToString(sum[:])); strings.HasPrefix(digits, prefix) {
			fmt.Fprintf(w, "%s:%d\r\n", digits[5:], i+3)
		}
	}
	for i := range 800 { // padding
		fmt.Fprintf(w, "%035X:0\r\n", i)
	}
}

// ranged is a house that asks a service.
func ranged(t *testing.T, s *service) *house {
	t.Helper()
	s.Server = httptest.NewTLSServer(s)
	t.Cleanup(s.Close)
	var h *house
	h = sqlite(t, func(o *Options) {
		o.Config.RangeURL, o.Client = s.URL+"/range", s.Client()
		o.Config.RangeTimeout = config.Duration(5 * time.Second)
		o.Logger = slog.New(slog.NewTextHandler(&later{&h}, nil))
	})
	return h
}

// later writes to the log of a house that is being made.
type later struct{ h **house }

func (l *later) Write(b []byte) (int, error) { return (*l.h).log.Write(b) }

func TestTheRangeServiceIsAsked(t *testing.T) {
	s := &service{words: []string{"found by the service"}}
	h := ranged(t, s)
	if h.known("found by the service") != password.Breached || h.known("found by nobody at all") != password.Unheard {
		t.Error("it is not believed")
	}
	r := s.seen.Load()
	if r.Header.Get("Add-Padding") != "true" || len(strings.TrimPrefix(r.URL.Path, "/range/")) != 5 || r.URL.RawQuery != "" || r.Header.Get("Cookie") != "" {
		t.Errorf("it was asked %s with %v", r.URL, r.Header)
	}
	asked := s.asked.Load()
	if h.known("found by the service") != password.Breached || s.asked.Load() != asked {
		t.Error("an answer is not kept")
	}
	h.clock.add(rangeLife)
	if h.known("found by the service") != password.Breached || s.asked.Load() == asked {
		t.Error("an answer is kept for ever")
	}
	// Padding is nothing: a password whose hash is padding is not breached.
	if c := h.ranges.counts(); c.Failed != 0 || c.Asked != s.asked.Load() {
		t.Errorf("counted %+v", c)
	}
	// What a list knows, nobody is asked.
	asked = s.asked.Load()
	if h.known("password") != password.Common || s.asked.Load() != asked {
		t.Error("the service is asked about what is known")
	}
}

// While somebody types, nothing goes over the network, and the rest is asked.
func TestTheRangeServiceLearnsNothingWhileSomebodyTypes(t *testing.T) {
	s := &service{words: []string{"found by the service"}}
	h := ranged(t, s)
	if _, err := h.Add(ctx, host(), 0, secret.Of("found by our own list")); err != nil {
		t.Fatal(err)
	}
	for word, known := range map[string]bool{"found by the service": false, "found by our own list": true} {
		got, err := password.Rules{Known: h}.Weigh(ctx, secret.Of(word), password.About{})
		if err != nil || (got.Refused != nil) != known {
			t.Errorf("%q: %+v, %v", word, got, err)
		}
	}
	if s.asked.Load() != 0 {
		t.Error("the service was asked while somebody typed")
	}
	if _, err := (password.Rules{Known: h}).Check(ctx, secret.Of("found by the service"), password.About{}); err == nil || s.asked.Load() != 1 {
		t.Errorf("the form is answered %v", err)
	}
}

// Whatever the service does, nobody is kept from choosing a password, and it is
// left alone after it failed again and again.
func TestTheRangeServiceFails(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request){
		"with a status":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"with nonsense":     func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>come back later</html>") },
		"with a short line": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("A", 34)+":1\n") },
		"with a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
		},
		"without an end": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := fmt.Fprintf(w, "%035X:1\r\n", 7); err != nil {
					return
				}
			}
		},
		"by hanging up": func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			s := &service{answer: answer}
			h := ranged(t, s)
			for i := range 6 {
				if h.known(word(i)) != password.Unheard {
					t.Fatal("it is believed")
				}
			}
			if c := h.ranges.counts(); c.Asked != tripAfter || c.Failed != tripAfter || c.Spared != 6-tripAfter {
				t.Errorf("counted %+v", c)
			}
			if log := h.log.String(); strings.Count(log, "range service") < tripAfter || strings.Contains(log, "/range/") {
				t.Errorf("the log says %s", log)
			}
			h.clock.add(tripFirst)
			s.answer = nil
			s.words = []string{word(1)}
			if h.known(word(1)) != password.Breached {
				t.Error("it is left alone for ever")
			}
		})
	}
}

// A service that takes too long is not waited for.
func TestTheRangeServiceIsSlow(t *testing.T) {
	s := &service{answer: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}
	h := ranged(t, s)
	h.ranges.timeout = 50 * time.Millisecond
	began := time.Now()
	if h.known(word(1)) != password.Unheard || time.Since(began) > 3*time.Second {
		t.Errorf("it was waited for %s", time.Since(began))
	}
	if c := h.ranges.counts(); c.Failed != 1 {
		t.Errorf("counted %+v", c)
	}
}

func TestFewAnswersAreKept(t *testing.T) {
	s := &service{}
	h := ranged(t, s)
	for i := range 3 * rangeCache {
		if _, err := h.Known(ctx, secret.Of(word(i))); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(h.ranges.cache); n > rangeCache {
		t.Errorf("%d answers are kept", n)
	}
}

func TestConfig(t *testing.T) {
	good := Defaults()
	must(t, good.check())
	for key, change := range map[string]func(*Config){
		"breach.range_url":     func(c *Config) { c.RangeURL = "http://plain.example/range/" },
		"breach.range_timeout": func(c *Config) { c.RangeTimeout = config.Duration(time.Minute) },
		"breach.alert":         func(c *Config) { c.Alert = []string{"Security <security@example.org>"} },
	} {
		c := Defaults()
		change(&c)
		if err := c.check(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
	c := Defaults()
	c.RangeURL, c.Alert = "https://ranges.example/range/", []string{"security@example.org"}
	must(t, c.check())
	c.Alert = make([]string, maxAlert+1)
	if c.check() == nil {
		t.Error("a crowd can be told")
	}
}
