package plug

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"troth/internal/audit"
	"troth/internal/cli"
	"troth/internal/id"
	"troth/verify"
)

// run is the command line with the commands of this part.
func (h *house) run(args ...string) (status int, stdout, stderr string) {
	h.t.Helper()
	p := cli.Program{Name: "troth", Short: "test", Commands: commands(), Now: h.now,
		Open: func(context.Context, *cli.Env) (any, func() error, error) { return h, func() error { return nil }, nil }}
	var out, said bytes.Buffer
	status = p.Run(h.t.Context(), args, strings.NewReader(""), &out, &said)
	return status, out.String(), said.String()
}

// expect runs a command and looks for words on either stream.
func (h *house) expect(status int, words []string, args ...string) string {
	h.t.Helper()
	got, stdout, stderr := h.run(args...)
	if got != status {
		h.t.Errorf("troth %s exited %d, want %d\n%s%s", strings.Join(args, " "), got, status, stdout, stderr)
	}
	for _, w := range words {
		if !strings.Contains(stdout+stderr, w) {
			h.t.Errorf("troth %s does not say %q:\n%s%s", strings.Join(args, " "), w, stdout, stderr)
		}
	}
	return stdout
}

func TestClaimsCommand(t *testing.T) {
	d := &door{}
	d.shut.Store(true)
	h := open(t, d.claim())
	h.expect(0, []string{"CLAIM", "A1", "pending"}, "claims")
	h.expect(0, []string{"door.tried", "passed", "trust.page_agrees", "trust.log_verifies"}, "claims", "--check")
	h.pass(2 * time.Second)
	h.expect(0, []string{"A1", "proven"}, "claims", "A1")
	d.shut.Store(false)
	h.expect(3, []string{"failed", "the door: expected true, seen false", "1 of 1 checks did not pass."}, "claims", "--check", "A1")
	h.pass(2 * time.Second)
	h.expect(3, []string{"failing", "1 of 3 claims are failing."}, "claims")
	h.expect(1, []string{"There is no claim Z9."}, "claims", "Z9")
	h.expect(1, []string{"There is no claim Z9."}, "claims", "--check", "Z9")
	var doc verify.Document
	must(t, json.Unmarshal([]byte(h.expect(3, nil, "claims", "--json")), &doc))
	if len(doc.Claims) != 3 || doc.Origin != h.server.URL {
		t.Errorf("%+v", doc)
	}
}

// ca writes the authority of the house's server into a file.
func (h *house) ca() string {
	h.t.Helper()
	path := filepath.Join(h.t.TempDir(), "ca.pem")
	must(h.t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.server.Certificate().Raw}), 0o644))
	return path
}

func TestVerifyCommand(t *testing.T) {
	d := &door{}
	d.shut.Store(true)
	h := open(t, d.claim())
	h.exercise()
	ca, key := h.ca(), h.log.VKey()
	state := filepath.Join(t.TempDir(), "seen")
	// The house's clock stands in November; the command has the real one, so the
	// evidence must be of now.
	h.at.Store(time.Now().UnixMicro())
	h.exercise()
	h.expect(0, []string{"Log", "log.example", "A1", "proven", "Nothing wrong was found."}, "verify", h.server.URL, "--ca", ca, "--key", key, "--state", state)
	h.expect(0, []string{"Continues"}, "verify", h.server.URL, "--ca", ca, "--key", key, "--state", state)
	h.expect(0, []string{"self-consistent only"}, "verify", h.server.URL, "--ca", ca)
	h.expect(1, []string{"It could not be examined"}, "verify", h.server.URL)
	h.expect(1, []string{"NAME+HASH+BASE64"}, "verify", h.server.URL, "--key", "x")
	h.expect(1, []string{"is no address of the form"}, "verify", "http://localhost:1")
	h.expect(1, []string{"cannot be read"}, "verify", h.server.URL, "--ca", "absent.pem")
	h.expect(1, []string{"neither an https address nor a directory"}, "verify", "absent")
	h.expect(2, []string{"Give an address"}, "verify")
	other := open(t)
	h.expect(3, []string{"checkpoint-signature", "1 findings."}, "verify", h.server.URL, "--ca", ca, "--key", other.log.VKey())

	var v struct {
		OK       bool
		Pinned   bool
		Size     int64
		Findings []verify.Finding
	}
	must(t, json.Unmarshal([]byte(h.expect(0, nil, "verify", h.server.URL, "--ca", ca, "--key", key, "--json")), &v))
	if !v.OK || !v.Pinned || v.Size != 6 || v.Findings == nil {
		t.Errorf("%+v", v)
	}

	dir := t.TempDir()
	must(t, h.trust.Export(t.Context(), dir, nil))
	h.expect(0, []string{"Nothing wrong was found."}, "verify", dir, "--key", key)
	corrupt(h, "UPDATE trust_run SET passed = FALSE WHERE claim = 'A1'")
	h.tampered(func(path string, b []byte) []byte {
		if path == "tile/entries/000.p/6" {
			b[7] ^= 1
		}
		return b
	})
	h.expect(3, []string{"entry-differs", "entry 0 (tile/entries/000.p/6)", "expected"}, "verify", h.server.URL, "--ca", ca, "--key", key)
}

func TestVerifyProof(t *testing.T) {
	h := open(t, (&door{}).claim())
	h.exercise("A1") // fails, which is an event
	entries, _, err := h.log.List(t.Context(), audit.Filter{Tenant: id.Platform})
	must(t, err)
	p, err := h.log.Proof(t.Context(), id.Platform, entries[0].Event.ID)
	must(t, err)
	b, err := json.Marshal(p)
	must(t, err)
	path := filepath.Join(t.TempDir(), "event.json")
	must(t, os.WriteFile(path, b, 0o644))
	h.expect(0, []string{"The proof holds", string(entries[0].Event.ID), "trust.check_failed"}, "verify", "--key", h.log.VKey(), "--proof", path)
	h.expect(1, []string{"give --key"}, "verify", "--proof", path)
	h.expect(1, []string{"cannot be read"}, "verify", "--key", h.log.VKey(), "--proof", "absent")
	must(t, os.WriteFile(path, bytes.Replace(b, []byte(`"index":0`), []byte(`"index":1`), 1), 0o644))
	h.expect(3, []string{"proof-"}, "verify", "--key", h.log.VKey(), "--proof", path)
	must(t, os.WriteFile(path, []byte("{}"), 0o644))
	h.expect(1, []string{"holds no proof"}, "verify", "--key", h.log.VKey(), "--proof", path)
}
