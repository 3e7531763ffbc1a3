package passkey

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
	_ "unsafe" // for go:linkname

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/webauthn"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/store"
)

// The vectors of section 16 are attested by a root of the specification's own,
// which no maker's list holds. For this test alone it is put beside Apple's
// root and Google's, and its maker of TPMs beside the real ones.
//
//go:linkname appleRoots github.com/go-webauthn/webauthn/protocol.attAppleHardwareRootsCertPool
var appleRoots *x509.CertPool

//go:linkname androidRoots github.com/go-webauthn/webauthn/protocol.attAndroidKeyHardwareRootsCertPool
var androidRoots *x509.CertPool

//go:linkname tpmMakers github.com/go-webauthn/webauthn/protocol.tpmManufacturers
var tpmMakers []struct{ id, name, code string }

type bits []byte

func (b *bits) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

type vector struct {
	Section, Info, Format string
	CredentialID          bits `json:"credential_id"`
	Registration          struct {
		Salt              byte
		Challenge         bits
		ClientData        bits `json:"client_data"`
		AttestationObject bits `json:"attestation_object"`
	}
	Authentication struct {
		Salt              byte
		Challenge         bits
		ClientData        bits `json:"client_data"`
		AuthenticatorData bits `json:"authenticator_data"`
		Signature         bits
	}
}

type vectors struct {
	Root    string
	Vectors []vector
}

func specification(t testing.TB) (v vectors) {
	t.Helper()
	file, err := os.ReadFile("testdata/vectors.json")
	if err == nil {
		err = json.Unmarshal(file, &v)
	}
	if err != nil || len(v.Vectors) != 14 {
		t.Fatalf("reading the vectors of the specification: %d, %v", len(v.Vectors), err)
	}
	return v
}

// The values are the specification's: it says how each challenge is derived
// (section 16: HKDF-SHA-256 from "WebAuthn test vectors").
func TestVectorsAreTheSpecifications(t *testing.T) {
	for _, v := range specification(t).Vectors {
		for salt, challenge := range map[byte]bits{v.Registration.Salt: v.Registration.Challenge, v.Authentication.Salt: v.Authentication.Challenge} {
			want, err := hkdf.Key(sha256.New, []byte("WebAuthn test vectors"), []byte{salt}, v.Info, len(challenge))
			if err != nil || !bytes.Equal(challenge, want) {
				t.Errorf("%s: the challenge %x is not derived as it says: %x, %v", v.Section, challenge, want, err)
			}
		}
	}
}

// What becomes of each vector under the policy that asks everybody for
// attestation by the specification's root. Where that policy, or the section on
// the format, asks for more than the vector has, it is refused.
var specified = map[string]struct{ registration, authentication string }{
	"16.2":  {"passkey.maker", ""},                // none: no attestation
	"16.3":  {"passkey.maker", ""},                // self: none that counts
	"16.4":  {"passkey.origin", "passkey.origin"}, // in a frame of another site
	"16.5":  {"passkey.origin", "passkey.origin"},
	"16.6":  {"passkey.maker", ""}, // a credential identifier of 1,023 bytes
	"16.7":  {"", ""},
	"16.8":  {"", ""},
	"16.9":  {"", ""},              // a challenge of 128 bytes
	"16.10": {"", ""},              // RSA
	"16.11": {"", ""},              // Ed25519
	"16.13": {"", ""},              // tpm
	"16.14": {"passkey.maker", ""}, // android-key: its lists say neither origin nor purpose (8.4)
	"16.15": {"", ""},              // apple
	"16.16": {"", ""},              // fido-u2f
}

func TestSpecificationVectors(t *testing.T) {
	spec := specification(t)
	der, _ := hex.DecodeString(spec.Root)
	root, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	appleRoots.AddCert(root)
	androidRoots.AddCert(root)
	makers := tpmMakers
	tpmMakers = append(tpmMakers[:len(tpmMakers):len(tpmMakers)], struct{ id, name, code string }{"00000000", "WebAuthn test vectors", "W3C"})
	t.Cleanup(func() { tpmMakers = makers })
	h := sqlite(t, func(o *Options) {
		o.Origin, o.Config.Attested, o.Config.RootsFile = "https://example.org", AttestEverybody, rootsFile(t)
	})
	for _, v := range spec.Vectors {
		t.Run(v.Section+" "+v.Info, func(t *testing.T) {
			ada := h.person("ada")
			h.begin(ada) // makes the handle
			r, why := h.registerVector(ada, v)
			if why != specified[v.Section].registration {
				t.Fatalf("the registration came to %q, want %q", why, specified[v.Section].registration)
			}
			if why == "" && (r.format != v.Format || !r.attested || len(r.statement) == 0 || !bytes.Equal(r.credential, v.CredentialID)) {
				t.Errorf("it is kept as %+v", r)
			}
			if why != "" {
				r = h.keepVector(t, ada, v)
			}
			if why := h.answerVector(ada, v, "discouraged"); why != specified[v.Section].authentication {
				t.Errorf("the answer came to %q, want %q", why, specified[v.Section].authentication)
			}
			// Asked for user verification, those that lack it are refused.
			verified := protocol.AuthenticatorFlags(v.Authentication.AuthenticatorData[32]).HasUserVerified()
			if why := h.answerVector(ada, v, "required"); why == "" != (verified && specified[v.Section].authentication == "") {
				t.Errorf("asked to verify the user, the answer came to %q; verified: %v", why, verified)
			}
			v.Authentication.Signature[len(v.Authentication.Signature)-1] ^= 1
			if why := h.answerVector(ada, v, "discouraged"); why == "" {
				t.Error("an altered signature is accepted")
			}
		})
	}
}

// registerVector registers by our own path; the session says what section 16
// asked for.
func (h *house) registerVector(p person, v vector) (r row, why string) {
	h.t.Helper()
	r = row{passkey: id.New[id.Passkey](h.clock.now()), account: p.Account, home: p.Home, name: []byte{}}
	answer, err := json.Marshal(map[string]any{
		"id": b64(v.CredentialID), "rawId": b64(v.CredentialID), "type": "public-key",
		"response": map[string]any{"clientDataJSON": b64(v.Registration.ClientData), "attestationObject": b64(v.Registration.AttestationObject)},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	err = h.DB.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("a test")
		handle, err := handleOf(tx, p.Account)
		if err != nil {
			return err
		}
		s := &webauthn.SessionData{Challenge: b64(v.Registration.Challenge), RelyingPartyID: "example.org", UserID: handle, CredParams: algorithms(), UserVerification: "discouraged"}
		if err := h.keep(tx, asking{forRegister, p.Account, string(p.by.Session)}, s); err != nil {
			return err
		}
		refusal, err := h.registerTx(tx, p.by, p.Holder, &r, answer)
		if err != nil {
			return err
		}
		if refusal.fault != nil {
			why = refusal.fault.Code
			return nil
		}
		return insert(tx, r)
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return r, why
}

// keepVector keeps a passkey as if the registration had been accepted, so that
// what it signs can be checked.
func (h *house) keepVector(t *testing.T, p person, v vector) row {
	t.Helper()
	var o protocol.AttestationObject
	if err := webauthncbor.Unmarshal(v.Registration.AttestationObject, &o); err != nil {
		t.Fatal(err)
	}
	if err := o.AuthData.Unmarshal(o.RawAuthData); err != nil {
		t.Fatal(err)
	}
	r := row{
		passkey: id.New[id.Passkey](h.clock.now()), account: p.Account, home: p.Home, credential: v.CredentialID, publicKey: o.AuthData.AttData.CredentialPublicKey,
		eligible: o.AuthData.Flags.HasBackupEligible(), backedUp: o.AuthData.Flags.HasBackupState(), aaguid: o.AuthData.AttData.AAGUID, format: o.Format, attested: true, name: []byte{},
	}
	err := h.DB.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("a test")
		return insert(tx, r)
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// answerVector answers as a second factor, by our own path.
func (h *house) answerVector(p person, v vector, verification protocol.UserVerificationRequirement) string {
	h.t.Helper()
	a := v.Authentication
	answer, err := json.Marshal(map[string]any{
		"id": b64(v.CredentialID), "rawId": b64(v.CredentialID), "type": "public-key",
		"response": map[string]any{"clientDataJSON": b64(a.ClientData), "authenticatorData": b64(a.AuthenticatorData), "signature": b64(a.Signature)},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	r := h.in(func(tx *store.Tx) (Result, error) {
		handle, err := handleOf(tx, p.Account)
		if err != nil {
			return Result{}, err
		}
		s := &webauthn.SessionData{Challenge: b64(a.Challenge), RelyingPartyID: "example.org", UserID: handle, UserVerification: verification}
		if err := h.keep(tx, asking{forAnswer, p.Account, "vector"}, s); err != nil {
			return Result{}, err
		}
		return h.AnswerTx(ctx, tx, access.Subject{}, p.Holder, "vector", answer)
	})
	if r.Refused == nil {
		return ""
	}
	return r.Refused.Code
}
