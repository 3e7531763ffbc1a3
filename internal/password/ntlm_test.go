package password

import (
	"encoding/hex"
	"testing"

	"troth/internal/secret"
)

// MS-NLMP, 4.2.2.1.2, and the hash of the empty password.
func TestNTLM(t *testing.T) {
	for text, want := range map[string]string{
		"Password": "a4f49c406510bdcab6824ee7c30fd852",
		"":         "31d6cfe0d16ae931b73c59d7e0c089c0",
	} {
		if got := hex.EncodeToString(NTLM(secret.Of(text))); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}
