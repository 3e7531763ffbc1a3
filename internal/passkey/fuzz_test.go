package passkey

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// Whatever a device sends, it is read or refused: nothing panics, and nothing
// that is read is larger than it may be.
func FuzzAnswer(f *testing.F) {
	for _, v := range specification(f).Vectors {
		f.Add([]byte(v.CredentialID), []byte(v.Authentication.ClientData), []byte(v.Authentication.AuthenticatorData), []byte(v.Authentication.Signature))
	}
	f.Add([]byte{1}, []byte(`{"type":"webauthn.get","challenge":"AA","origin":"x","tokenBinding":{}}`), append(bytes.Repeat([]byte{0}, 32), 0x81, 0, 0, 0, 0, 0xa1), []byte{})
	f.Fuzz(func(t *testing.T, credential, client, data, signature []byte) {
		answer, err := json.Marshal(map[string]any{"id": b64(credential), "rawId": b64(credential), "type": "public-key",
			"response": map[string]any{"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature)}})
		if err != nil {
			t.Fatal(err)
		}
		if parsed, ok := readAnswer(answer); ok {
			if len(parsed.RawID) == 0 || len(parsed.Response.AuthenticatorData.RPIDHash) != 32 {
				t.Errorf("%s is read as %+v", answer, parsed)
			}
			_, _ = challengeDigest(parsed.Response.CollectedClientData.Challenge)
		}
	})
}

func FuzzCreation(f *testing.F) {
	for _, v := range specification(f).Vectors {
		f.Add([]byte(v.CredentialID), []byte(v.Registration.ClientData), []byte(v.Registration.AttestationObject))
	}
	f.Add([]byte{1}, []byte("{}"), nested(40))
	f.Fuzz(func(t *testing.T, credential, client, object []byte) {
		answer, err := json.Marshal(map[string]any{"id": b64(credential), "rawId": b64(credential), "type": "public-key",
			"response": map[string]any{"clientDataJSON": b64(client), "attestationObject": b64(object)}})
		if err != nil {
			t.Fatal(err)
		}
		if parsed, ok := readCreation(answer); ok {
			data := parsed.Response.AttestationObject.AuthData
			if !data.Flags.HasAttestedCredentialData() || len(data.AttData.CredentialID) > 1023 || len(data.AttData.AAGUID) != 16 {
				t.Errorf("%s is read as %+v", answer, data)
			}
			_ = strong(data.AttData.CredentialPublicKey)
		}
	})
}

func FuzzPublicKey(f *testing.F) {
	f.Add(coseRSA(2048))
	f.Add([]byte{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x41, 0, 0x22, 0x41, 0})
	f.Fuzz(func(t *testing.T, key []byte) { _ = strong(key) })
}

// nested is an array in an array, so many deep.
func nested(depth int) []byte { return append(bytes.Repeat([]byte{0x81}, depth), 0x00) }

// CBOR that is odd, deep, endless or says it is huge is refused, and quickly.
func TestOddCBOR(t *testing.T) {
	h := sqlite(t)
	ada := h.person("ada")
	good := newDevice().create(t, h.begin(ada))
	object := func(fields map[string]any) []byte {
		b, err := cbor.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	data := bytes.Repeat([]byte{0}, 37)
	for name, odd := range map[string][]byte{
		"empty": {}, "deep": nested(5000), "huge map": {0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "huge text": {0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"endless": {0xbf, 0x63, 'f', 'm', 't', 0x64, 'n', 'o', 'n', 'e', 0xff}, "tag": {0xc1, 0xa0}, "two": {0xa0, 0xa0}, "twice the same": {0xa2, 0x61, 'a', 1, 0x61, 'a', 2},
		"no data": object(map[string]any{"fmt": "none", "attStmt": map[string]any{}}), "short": object(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": data[:36]}),
		"no credential": object(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": data}), "statement of another kind": object(map[string]any{"fmt": "packed", "attStmt": []int{1}, "authData": data}),
		"long identifier": object(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": append(append(append(bytes.Clone(data[:32]), 0x45, 0, 0, 0, 0), make([]byte, 16)...), append([]byte{0x04, 0x00}, make([]byte, 1200)...)...)}),
	} {
		_, err := h.FinishRegistration(ctx, ada.by, ada.Holder, "", altered(t, good, b64(odd), "response", "attestationObject"))
		if err == nil {
			t.Errorf("%s is taken", name)
		}
		_, ok := readCreation(altered(t, good, b64(odd), "response", "attestationObject"))
		if ok {
			t.Errorf("%s is read", name)
		}
	}
	if _, err := h.FinishRegistration(ctx, ada.by, ada.Holder, "", good); err != nil {
		t.Errorf("after all of that: %v", err)
	}
}
