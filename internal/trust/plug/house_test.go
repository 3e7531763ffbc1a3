package plug

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"troth/internal/audit"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/internal/text"
	"troth/internal/trust"
	"troth/internal/web"
)

// house is an installation with the trust page, its log and nothing else,
// behind a real TLS listener.
type house struct {
	t      *testing.T
	db     *store.DB
	log    *audit.Log
	trust  *trust.Trust
	plug   *plug
	server *httptest.Server
	at     atomic.Int64 // now, in microseconds

	// tamper may replace what the front door serves, by path.
	tamper atomic.Pointer[func(path string, b []byte) []byte]
}

func (h *house) now() time.Time       { return time.UnixMicro(h.at.Load()).UTC() }
func (h *house) pass(d time.Duration) { h.at.Add(d.Microseconds()) }
func (h *house) bench() (trust.Bench, error) {
	return trust.Bench{Origin: h.server.URL, Now: h.now, Client: func(netip.Addr) *http.Client { return h.server.Client() }}, nil
}

// open builds the house; more are claims beside J1 and J2.
func open(t *testing.T, more ...trust.Claim) *house {
	t.Helper()
	ctx := context.Background()
	h := &house{t: t}
	h.at.Store(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC).UnixMicro())
	h.db = storetest.SQLite(t, audit.Migrations, trust.Migrations)
	dir := t.TempDir()
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), h.now)
	must(t, err)
	t.Cleanup(func() { ring.Close() })
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	must(t, err)
	k := keys.New(root, ring, h.now)
	h.log, err = audit.New(h.db, k, audit.Options{Origin: "log.example", Types: trust.Events(), Now: h.now})
	must(t, err)

	h.plug = &plug{Options: Options{Trust: func() *trust.Trust { return h.trust }, Bench: h.bench, CA: "data/ca.pem"}}
	p := h.plug.part()
	renderer, err := web.NewRenderer(text.English(), p.Pages)
	must(t, err)
	renderer.Now = h.now
	mux, err := web.Mux(append(p.Routes, web.AssetRoute()), web.Deps{Renderer: renderer, Now: h.now, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	outer := http.NewServeMux()
	outer.HandleFunc("/-/log/", h.serveLog)
	outer.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, r)
		b := rec.Body.Bytes()
		if f := h.tamper.Load(); f != nil {
			b = (*f)(r.URL.Path, b)
		}
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		w.Write(b)
	})
	h.server = httptest.NewTLSServer(outer)
	t.Cleanup(h.server.Close)
	h.trust, err = trust.New(ctx, h.db, h.log, k, append(p.Claims, more...), trust.Options{Origin: h.server.URL, Build: "test", Now: h.now})
	must(t, err)
	return h
}

// serveLog serves the public log.
func (h *house) serveLog(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path[len("/-/log/"):]
	var b []byte
	var err error
	switch {
	case path == "checkpoint":
		b, err = h.log.Checkpoint(r.Context())
	case path == "vkey":
		b = []byte(h.log.VKey() + "\n")
	case len(path) > 9 && path[:9] == "evidence/":
		b, err = h.log.EvidenceBytes(r.Context(), path[9:])
	default:
		b, err = h.log.Tile(r.Context(), path)
	}
	if err != nil {
		http.NotFound(w, r)
		return
	}
	if f := h.tamper.Load(); f != nil {
		b = (*f)(path, append([]byte(nil), b...))
	}
	w.Write(b)
}

func (h *house) tampered(f func(path string, b []byte) []byte) { h.tamper.Store(&f) }

// exercise runs the checks of claims and returns what they came to, by claim.
func (h *house) exercise(ids ...string) map[string]trust.Outcome {
	h.t.Helper()
	b, err := h.bench()
	must(h.t, err)
	list, err := h.trust.Exercise(h.t.Context(), b, ids...)
	must(h.t, err)
	out := map[string]trust.Outcome{}
	for _, o := range list {
		out[o.Claim] = o
	}
	h.pass(2 * time.Second)
	return out
}

// Trust and Bench make house what the commands take for the installation.
func (h *house) Trust() *trust.Trust         { return h.trust }
func (h *house) Bench() (trust.Bench, error) { return h.bench() }

// corrupt changes a row as an attacker with the database would.
func corrupt(h *house, query string, args ...any) {
	h.t.Helper()
	must(h.t, h.db.Write(h.t.Context(), func(tx *store.Tx) error {
		tx.Unaudited("an attacker with the database")
		n, err := tx.Exec(query, args...)
		if err == nil && n == 0 {
			h.t.Errorf("%s changed nothing", query)
		}
		return err
	}))
	h.pass(2 * time.Second)
}

// get is a page as a stranger gets it.
func (h *house) get(path string) *trust.Page {
	h.t.Helper()
	b, err := h.bench()
	must(h.t, err)
	v, err := b.Visitor(netip.Addr{})
	must(h.t, err)
	p, err := v.Get(h.t.Context(), path)
	must(h.t, err)
	return p
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// door is a claim whose check a test turns.
type door struct{ shut atomic.Bool }

func (d *door) claim() trust.Claim {
	return trust.Claim{ID: "A1", Sentence: `The "door" is shut & locked.`, Scope: "the house", Criteria: []string{"CC6.1"}, NotProven: "That nobody has a key.", Fresh: 3 * time.Hour,
		Checks: []trust.Check{{Name: "door.tried", Version: 1, Method: "It tries the door.", Period: time.Hour, Run: func(context.Context, trust.Bench) (trust.Result, error) {
			var l trust.Look
			l.Equal("the door", true, d.shut.Load())
			return l.Result()
		}}}}
}
