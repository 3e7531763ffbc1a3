// Package plug plugs package edge into Troth: the published signing keys, the
// health pages, the rotation of signing keys, and the claims D2 (transport), D3
// (nothing fails open) and D4 (no secrets in logs) with the checks that
// exercise them.
//
// The checks need three things that only the wiring has, and say that they
// cannot be exercised without them: the address of the real listener (D2), a
// second chain whose dependencies can be broken (D3, see [Chain]), and an ear
// at the program's own log (D4, see [Tap]).
package plug

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"troth/internal/edge"
	"troth/internal/jobs"
	"troth/internal/part"
	"troth/internal/retention"
	"troth/internal/store"
	"troth/internal/web"
)

// Deps are what the front door's own part works with. Everything may be nil
// where nothing is served, as for the list of commands.
type Deps struct {
	Signer *edge.Signer
	Ready  func() (bool, []string)                   // Edge.Ready, once the front door stands
	Chain  func(ctx context.Context) (*Chain, error) // builds a second chain with faulted dependencies
	Routes func() []web.Route                        // all of Troth's own pages
	DB     *store.DB                                 // whose tables of the log are searched
	Tap    *Tap                                      // the ear at the program's log
	Flush  func(ctx context.Context) error           // makes queued access lines durable
}

type plug struct{ d Deps }

// New describes package edge to the rest of the house.
func New(d Deps) part.Part {
	p := &plug{d}
	return part.Part{
		Name: "edge", Migrations: edge.Migrations, Tables: edge.Tables, Events: edge.Events,
		Routes: p.routes(), Jobs: p.jobs(), Claims: p.claims(),
		Retention: []retention.Rule{{
			Table: "edge_assertion_key",
			Keep:  "Until an hour after the next key has taken over: by then every assertion signed with it has expired. Holds names of keys and times, nothing about people.",
		}},
	}
}

func (p *plug) jobs() []jobs.Periodic {
	if p.d.Signer == nil {
		return nil
	}
	return []jobs.Periodic{{Name: "edge.rotate_signing_key", Every: 10 * time.Minute, Alarm: time.Hour, Timeout: time.Minute, Run: p.d.Signer.Rotate}}
}

func (p *plug) routes() []web.Route {
	return []web.Route{
		{Method: http.MethodGet, Path: "/-/jwks.json", Public: "applications check assertions with these keys; they are public keys",
			Doc: "The public keys that assertions are signed with (RFC 7517).", Handle: p.jwks},
		{Method: http.MethodGet, Path: "/-/health/live", Public: "whoever restarts the program asks here", Anonymous: true,
			Doc: "200 while the program runs.", Handle: p.live},
		{Method: http.MethodGet, Path: "/-/health/ready", Public: "load balancers ask here", Anonymous: true,
			Doc: "200 while requests are served, otherwise 503 and which part cannot be reached.", Handle: p.ready},
	}
}

// jwks serves the key set so that copies are kept for as long as they are good.
func (p *plug) jwks(r *web.Request) error {
	set, age := p.d.Signer.JWKS()
	sum := sha256.Sum256(set)
	etag := `"` + hex.EncodeToString(sum[:16]) + `"`
	h := r.W.Header()
	h.Del("Vary")
	h.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(age.Seconds())))
	h.Set("ETag", etag)
	h.Set("Content-Type", "application/jwk-set+json") // RFC 7517, 8.5.2
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if r.Request.Header.Get("If-None-Match") == etag {
		r.W.WriteHeader(http.StatusNotModified)
		return nil
	}
	_, _ = r.W.Write(set) // the client went away
	return nil
}

// health is what the health pages say: names of parts, never why.
type health struct {
	Status  string   `json:"status"`
	Missing []string `json:"missing,omitempty"`
}

func (p *plug) live(r *web.Request) error { return r.JSON(health{Status: "alive"}) }

func (p *plug) ready(r *web.Request) error {
	if p.d.Ready == nil {
		return r.JSONStatus(http.StatusServiceUnavailable, health{Status: "not ready", Missing: []string{"start"}})
	}
	if ok, missing := p.d.Ready(); !ok {
		return r.JSONStatus(http.StatusServiceUnavailable, health{Status: "not ready", Missing: missing})
	}
	return r.JSON(health{Status: "ready"})
}
