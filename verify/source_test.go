package verify_test

import (
	"encoding/pem"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"troth/verify"
)

// serve serves a fixture as an installation does.
func serve(t *testing.T, f *fixture) (*httptest.Server, []byte) {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/-/log/", http.StripPrefix("/-/log/", http.FileServer(http.Dir(f.dir))))
	mux.HandleFunc("/-/trust.json", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, f.path("trust.json")) })
	s := httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	return s, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

func TestWebsite(t *testing.T) {
	f := newFixture(t)
	f.fill(600)
	f.claim("A1", day)
	f.write()
	s, ca := serve(t, f)
	src, err := verify.OpenWebsite(s.URL+"/", ca)
	must(t, err)
	o := verify.Options{NeedDocument: true, Now: func() time.Time { return day }}
	r, err := verify.Log(t.Context(), src, &f.key, o)
	must(t, err)
	only(t, r)
	if r.Size != 602 || !r.Document || r.Evidence != 2 {
		t.Errorf("%+v", r)
	}
	f.flip("tile/0/001", 0)
	r, err = verify.Log(t.Context(), src, &f.key, o)
	must(t, err)
	only(t, r, "tile-differs tile/0/001, row 0")

	stranger, err := verify.OpenWebsite(s.URL, nil)
	must(t, err)
	if _, err := stranger.Fetch(t.Context(), "checkpoint", 1<<16); err == nil {
		t.Error("a certificate by an unknown authority was accepted")
	}
}

func TestWebsiteAddress(t *testing.T) {
	for _, address := range []string{"", "localhost", "http://localhost", "https://", "https://u:p@localhost", "https://localhost/path", "https://localhost?q", "ftp://localhost"} {
		if _, err := verify.OpenWebsite(address, nil); err == nil {
			t.Errorf("%q was accepted", address)
		}
	}
	if _, err := verify.OpenWebsite("https://localhost", []byte("no PEM")); err == nil {
		t.Error("an authority without certificate was accepted")
	}
}

func TestWebsiteAnswers(t *testing.T) {
	var busy atomic.Int32
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch strings.TrimPrefix(r.URL.Path, "/-/log/") {
		case "long":
			w.Write(make([]byte, 11))
		case "busy":
			if busy.Add(1) < 2 {
				w.Header().Set("Retry-After", "0")
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		case "moved":
			http.Redirect(w, r, "/-/log/long", http.StatusFound)
		case "broken":
			w.WriteHeader(http.StatusInternalServerError)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	src, err := verify.WebsiteWith(s.URL, s.Client())
	must(t, err)
	for path, want := range map[string]string{"long": "longer than it can be", "moved": "302", "broken": "500", "absent": "not exist"} {
		if _, err := src.Fetch(t.Context(), path, 10); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := src.Fetch(t.Context(), "absent", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a file that is not there is not told from a failure")
	}
	if _, err := src.Fetch(t.Context(), "busy", 10); err != nil || busy.Load() != 2 {
		t.Errorf("a busy server was asked %d times: %v", busy.Load(), err)
	}
}

// TestDirectoryLinks: an exported log cannot make its reader read elsewhere.
func TestDirectoryLinks(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(outside, []byte("x"), 0o600))
	must(t, os.Symlink(outside, filepath.Join(dir, "checkpoint")))
	d, err := verify.OpenDirectory(dir)
	must(t, err)
	defer d.Close()
	for _, path := range []string{"checkpoint", "../secret"} {
		if b, err := d.Fetch(t.Context(), path, 100); err == nil {
			t.Errorf("%s was read: %q", path, b)
		}
	}
	if _, err := verify.OpenDirectory(filepath.Join(dir, "absent")); err == nil {
		t.Error("a directory that is not there was opened")
	}
}
