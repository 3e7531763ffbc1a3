package sms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The signature of a request as the service computes it from what arrives, and
// not as the library that made it does: Signature Version 4, "Create a signed
// AWS API request", steps 1 to 4.
func TestSignatureAsTheServiceComputesIt(t *testing.T) {
	s := serve(t)
	s.status, s.answer = 200, `<PublishResponse/>`
	if err := s.configured(t, snsConfig, hush).Send(ctx, out); err != nil {
		t.Fatal(err)
	}
	signed, signature := fields(t, s.header.Get("Authorization"))
	if !slices.IsSorted(signed) || !slices.Contains(signed, "host") || !slices.Contains(signed, "x-amz-date") || !slices.Contains(signed, "content-type") {
		t.Errorf("the signed headers are %v", signed)
	}
	var headers strings.Builder
	for _, name := range signed {
		value := s.header.Get(name)
		switch name {
		case "host":
			value = strings.TrimPrefix(s.URL, "https://")
		case "content-length":
			value = fmt.Sprint(len(s.body))
		}
		fmt.Fprintf(&headers, "%s:%s\n", name, strings.Join(strings.Fields(value), " "))
	}
	canonical := strings.Join([]string{"POST", "/", "", headers.String(), strings.Join(signed, ";"), hexSum(s.body)}, "\n")
	const scope = "20261122/eu-central-1/sns/aws4_request"
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", s.header.Get("X-Amz-Date"), scope, hexSum([]byte(canonical))}, "\n")
	key := []byte("AWS4" + hush)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	if want := hex.EncodeToString(mac(key, toSign)); signature != want {
		t.Errorf("the signature is %s, the service computes %s for\n%s", signature, want, canonical)
	}
}

// fields are the signed headers and the signature of an Authorization header.
func fields(t *testing.T, authorization string) (signed []string, signature string) {
	t.Helper()
	_, rest, ok := strings.Cut(authorization, "SignedHeaders=")
	list, signature, both := strings.Cut(rest, ", Signature=")
	if !ok || !both {
		t.Fatalf("Authorization is %q", authorization)
	}
	return strings.Split(list, ";"), signature
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
