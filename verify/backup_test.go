package verify_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"troth/verify"
)

// Manifests that are signed are tried by package backup; here are those that
// must not even be believed to be one.
func TestBackupRefusesOddManifests(t *testing.T) {
	key := newFixture(t).key
	for name, manifest := range map[string]string{
		"no JSON":         "x",
		"no signature":    `{"payloadType":"application/vnd.troth.backup+json","payload":"e30=","signatures":[]}`,
		"another payload": `{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"keyid":"","sig":"AA=="}]}`,
		"far too long":    strings.Repeat(" ", 1<<20),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, verify.ManifestFile), []byte(manifest), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, findings, err := verify.Backup(dir, "data", key); err != nil || len(findings) != 1 || findings[0].Code != "manifest" {
			t.Errorf("%s: found %v, %v", name, findings, err)
		}
	}
	if _, _, err := verify.Backup(t.TempDir(), "data", key); err == nil {
		t.Error("a directory without a manifest is a backup")
	}
}

func FuzzOpenManifest(f *testing.F) {
	f.Add([]byte(`{"payloadType":"application/vnd.troth.backup+json","payload":"e30=","signatures":[{"keyid":"","sig":"AA=="}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := verify.OpenManifest(b, verify.Key{}); err == nil {
			t.Errorf("a manifest that nobody signed was believed: %q", b)
		}
	})
}
