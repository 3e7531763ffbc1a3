package edge

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"troth/internal/access"
	"troth/internal/store"
)

var inHeader = regexp.MustCompile(`(?m)^Troth-Assertion: (\S+)`)

// assertionIn finds the assertion in what echo answered.
func assertionIn(text string) string {
	if m := inHeader.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// open checks an assertion against the published keys, as an application does.
func (h *house) open(token string) claims {
	h.t.Helper()
	set, _ := h.signer.JWKS()
	return openWith(h.t, token, set)
}

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

func openWith(t fataler, token string, jwks []byte) claims {
	t.Helper()
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(jwks, &keys); err != nil {
		t.Fatalf("reading the key set %s: %v", jwks, err)
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatalf("reading the assertion %q: %v", token, err)
	}
	var c claims
	var std jwt.Claims
	if err := parsed.Claims(keys, &c, &std); err != nil {
		t.Fatalf("checking the assertion against %s: %v", jwks, err)
	}
	return c
}

// changed says that a person's role changed.
func (h *house) changed(who access.SignedIn) error {
	return h.db.Write(context.Background(), func(tx *store.Tx) error {
		tx.Unaudited("a test")
		return h.access.ChangedTx(tx, who.Tenant, who.Account)
	})
}

var _ = strings.TrimSpace
var _ = time.Now
