package plug

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"troth/internal/audit"
	"troth/internal/id"
	"troth/internal/store"
	"troth/internal/trust"
)

// door is a small front door before a real log. What it does not record is
// what a broken one would forget.
type door struct {
	h        *house
	password string
	forgets  string // "refusals", "sign-ins", "requests", "addresses"
}

const origin0 = "https://app.example"

// RoundTrip answers as the front door would.
func (d *door) from(ip netip.Addr) http.RoundTripper {
	return trip(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		d.serve(w, r, ip)
		resp := w.Result()
		resp.Request = r
		return resp, nil
	})
}

type trip func(*http.Request) (*http.Response, error)

func (t trip) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func (d *door) serve(w http.ResponseWriter, r *http.Request, ip netip.Addr) {
	_, err := r.Cookie("session")
	signed := err == nil
	line := audit.AccessLine{Method: r.Method, Path: r.URL.Path, Agent: r.UserAgent(), IP: ip}
	if signed {
		line.Account, line.Tenant = d.h.ada, d.h.tenant
	}
	if d.forgets == "addresses" {
		line.IP = netip.Addr{}
	}
	if d.forgets != "requests" {
		l, err := d.h.log.Begin(line)
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		defer l.End(200, 0, time.Millisecond)
	}
	e := audit.Event{Tenant: d.h.tenant, Actor: audit.Actor{Kind: audit.KindPerson, Account: d.h.ada}, Context: audit.Context{IP: ip, Agent: r.UserAgent()}}
	switch r.URL.Path {
	case "/-/signup":
		d.password = r.PostFormValue("password")
		w.WriteHeader(http.StatusSeeOther)
	case "/-/confirm/x":
		w.WriteHeader(http.StatusSeeOther)
	case "/-/signin":
		if r.PostFormValue("password") != d.password {
			e.Type, e.Actor = signInFailed, audit.Actor{Kind: audit.KindStranger}
			e.Targets = []audit.Target{{Kind: "account", Person: d.h.ada}}
			if d.forgets != "refusals" {
				if err := d.h.log.Refused(r.Context(), e); err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
					return
				}
			}
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		e.Type = signedIn
		if d.forgets != "sign-ins" {
			d.h.append(e)
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "x", Path: "/"})
		w.WriteHeader(http.StatusSeeOther)
	case "/-/account/activity":
		if !signed {
			w.WriteHeader(http.StatusUnauthorized)
		}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// Wait delivers the letter that confirms an address.
func (d *door) Wait(context.Context, string, time.Time) (trust.Mail, error) {
	return trust.Mail{Body: "Open " + origin0 + "/-/confirm/x"}, nil
}

func (d *door) bench() trust.Bench {
	return trust.Standalone(trust.Bench{Origin: origin0, Mailbox: d, Now: time.Now,
		Client: func(from netip.Addr) *http.Client { return &http.Client{Transport: d.from(from)} }})
}

// run exercises the check while the log runs.
func (d *door) run(t *testing.T) (trust.Result, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.h.log.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the log ended with %v", err)
		}
	}()
	within, stop := context.WithTimeout(ctx, 2*time.Second)
	defer stop()
	return d.h.plug.recorded(within, d.bench())
}

func TestE1PassesWhenEverythingIsRecorded(t *testing.T) {
	result, err := (&door{h: open(t)}).run(t)
	must(t, err)
	if !result.Passed || len(result.Observed) != 9 {
		t.Errorf("the check saw %+v", result.Observed)
	}
}

// TestE1FailsWhenRecordingIsBroken breaks each thing that the claim is about.
func TestE1FailsWhenRecordingIsBroken(t *testing.T) {
	for forgets, what := range map[string]string{
		"refusals":  "the failed sign-in",
		"sign-ins":  "the successful sign-in",
		"requests":  "the request of a page",
		"addresses": "the request of a program",
	} {
		t.Run(forgets, func(t *testing.T) {
			t.Parallel()
			result, err := (&door{h: open(t), forgets: forgets}).run(t)
			must(t, err)
			if result.Passed {
				t.Fatalf("the claim holds though the door forgets %s: %+v", forgets, result.Observed)
			}
			for _, o := range result.Observed {
				if o.What == what && o.Expected != o.Seen && (forgets == "addresses" || strings.Contains(o.Seen, "not in the log")) {
					return
				}
			}
			t.Errorf("the check does not say that %s is missing: %+v", what, result.Observed)
		})
	}
}

// TestE1FailsWhenTheLogWasTamperedWith: a record without a proof that holds is none.
func TestE1FailsWhenTheLogWasTamperedWith(t *testing.T) {
	h := open(t)
	event := h.append(h.changed())
	h.sequence()
	must(t, h.db.Write(context.Background(), func(tx *store.Tx) error {
		tx.Unaudited("a test breaks what must be noticed")
		_, err := tx.Exec(`UPDATE log_checkpoint SET salt = root WHERE tree = $1`, string(h.tenant))
		return err
	}))
	look := &trust.Look{}
	h.plug.lookForProof(context.Background(), look, "it", h.tenant, id.Event(event))
	if result, err := look.Result(); err != nil || result.Passed {
		t.Errorf("a proof with another salt holds: %+v, %v", result, err)
	}
}
