package app

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"troth/internal/config"
)

// TestStartIsQuick: init and the first start to ready, without the calibration
// of passwords, which takes its own time; and the next start.
func TestStartIsQuick(t *testing.T) {
	h := plan(t, func(s *Settings) {
		s.site.Listen = listen(t)
		s.site.Origin = "https://localhost" + s.site.Listen[strings.LastIndexByte(s.site.Listen, ':'):]
		s.account.PasswordTarget = config.Duration(10 * time.Millisecond)
	})
	h.o.hashing = nil
	h.serve()
	h.person("ada")
	if err := h.halt(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p := start(t, h.set)
	took := time.Since(began)
	p.kill()
	// The promise is one second on an idle machine; tests share theirs.
	if took > 5*time.Second {
		t.Errorf("from start to ready took %s", took)
	}
	t.Logf("from start to ready took %s", took)
}

// TestAKeyringWithoutItsRootIsRefused: it is a lost key, never a new
// installation.
func TestAKeyringWithoutItsRootIsRefused(t *testing.T) {
	t.Parallel()
	h := raise(t)
	if err := h.halt(); err != nil {
		t.Fatal(err)
	}
	root := h.set.rootDir()
	if err := os.Rename(root, root+"-elsewhere"); err != nil {
		t.Fatal(err)
	}
	if _, err := makeData(h.set); err == nil || !strings.Contains(err.Error(), "no root key") {
		t.Errorf("a keyring without its root key says %v", err)
	}
	if _, err := os.Stat(root); err == nil {
		t.Error("a new root key was made beside an old keyring")
	}
	if in, err := open(t.Context(), h.set, h.o); err == nil {
		in.Close()
		t.Error("it starts without its root key")
	}
}

// TestAnotherRootIsRefused: a root key that does not belong to the keyring
// opens nothing, and changes nothing.
func TestAnotherRootIsRefused(t *testing.T) {
	t.Parallel()
	h, other := raise(t), raise(t)
	if err := h.halt(); err != nil {
		t.Fatal(err)
	}
	h.set.keys.Root = other.set.rootDir()
	if in, err := open(t.Context(), h.set, h.o); err == nil {
		in.Close()
		t.Error("it starts with another installation's root key")
	}
	h.set.keys.Root = ""
	again := over(t, h.set, h.clock)
	again.serve()
	again.proven(filepath.Join(t.TempDir(), "seen"))
}

// TestProductionNamesWhatIsMissing: all of it at once, each with the key to set,
// and what is set is not asked for again. A link does not take the root key out
// of the data directory.
func TestProductionNamesWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	data, outside := filepath.Join(dir, "data"), filepath.Join(dir, "root")
	for _, d := range []string{filepath.Join(data, "root"), outside} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link, pem := filepath.Join(dir, "link"), filepath.Join(dir, "pem")
	if err := errors.Join(os.Symlink(filepath.Join(data, "root"), link), os.WriteFile(pem, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	env := []string{"TROTH_ENVIRONMENT=production"}
	all := []string{"Set origin", "Set tls.certificate_file", "Set mail.host", "Set keys.root"}
	for _, step := range []struct {
		set     []string
		missing []string
	}{
		{nil, all},
		{[]string{"TROTH_ORIGIN=https://app.example.com"}, all[1:]},
		{[]string{"TROTH_TLS_CERTIFICATE_FILE=" + pem, "TROTH_TLS_KEY_FILE=" + pem}, all[2:]},
		{[]string{"TROTH_MAIL_HOST=smtp.example.com", "TROTH_MAIL_FROM=a@example.com"}, all[3:]},
		{[]string{"TROTH_KEYS_ROOT=" + link}, all[3:]},
		{[]string{"TROTH_KEYS_ROOT=" + filepath.Join(data, "..", "data", "root")}, all[3:]},
		{[]string{"TROTH_KEYS_ROOT=" + outside}, nil},
	} {
		env = append(env, step.set...)
		s := defaults(data)
		said := ""
		if err := s.load("", env, nil); err != nil {
			said = err.Error()
		}
		for _, each := range all {
			if strings.Contains(said, each) != slices.Contains(step.missing, each) {
				t.Errorf("after %q it says %q; %q is missing", step.set, said, step.missing)
			}
		}
		if s.account.Mode != "invite" {
			t.Errorf("in production everybody may sign up: mode is %q", s.account.Mode)
		}
	}
}
