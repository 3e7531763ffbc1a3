package passkey

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/store"
	"troth/internal/text"
)

// Holder is whose passkeys are meant, and what devices show of that person.
type Holder struct {
	Account id.Account
	Home    id.Tenant
	Email   string
	Name    string
}

var errNobody = fault.New(fault.Unauthenticated, "passkey.sign_in", "Sign in first.")

// own is nil for the person whom it is about.
func (p *Passkeys) own(by access.Subject, account id.Account) error {
	if by.Kind != access.KindPerson || by.Account != account || by.Session == "" {
		return errNobody
	}
	return p.enabled()
}

// BeginRegistration returns what a browser asks a device to make a passkey with
// (L3, 7.1 step 1): PublicKeyCredentialCreationOptionsJSON as "publicKey".
// fault.Conflict when there is no room for another.
func (p *Passkeys) BeginRegistration(ctx context.Context, by access.Subject, h Holder) (json.RawMessage, error) {
	if err := p.own(by, h.Account); err != nil {
		return nil, err
	}
	var options *protocol.CredentialCreation
	err := p.DB.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("a challenge opens nothing; its answer is recorded")
		handle, err := makeHandle(tx, h.Account)
		if err != nil {
			return err
		}
		u := user{handle: handle, email: h.Email, name: h.Name}
		if u.passkeys, err = of(tx, h.Account); err != nil {
			return err
		}
		if len(u.passkeys) >= Max {
			return refusedMany.fault
		}
		rp, _, err := p.ceremonyTx(tx, h.Account)
		if err != nil {
			return err
		}
		var session *webauthn.SessionData
		options, session, err = rp.BeginRegistration(u,
			webauthn.WithCredentialParameters(algorithms()),
			webauthn.WithExclusions(webauthn.Credentials(u.WebAuthnCredentials()).CredentialDescriptors()))
		if err != nil {
			return err
		}
		return p.keep(tx, asking{forRegister, h.Account, string(by.Session)}, session)
	})
	if err != nil {
		return nil, fmt.Errorf("asking for a new passkey: %w", err)
	}
	return json.Marshal(options)
}

// ceremonyTx is the relying party that an account deals with: the strict one
// asks for attestation.
func (p *Passkeys) ceremonyTx(tx *store.Tx, account id.Account) (rp *webauthn.WebAuthn, strict bool, err error) {
	if strict, err = p.attestsTx(tx, account); err != nil || !strict {
		return p.free, false, err
	}
	return p.strict, true, nil
}

// FinishRegistration checks what a device made and keeps it under a name, which
// may be empty. The holder gets a mail. Faults say what is wrong with the answer;
// the challenge is used up by any.
func (p *Passkeys) FinishRegistration(ctx context.Context, by access.Subject, h Holder, name string, answer []byte) (id.Passkey, error) {
	if err := p.own(by, h.Account); err != nil {
		return "", err
	}
	name, err := readName(name)
	if err != nil {
		return "", err
	}
	r := row{passkey: id.New[id.Passkey](p.now()), account: h.Account, home: h.Home}
	if r.name, err = p.seal(ctx, r, name); err != nil {
		return "", err
	}
	var why refusal
	err = p.DB.Write(ctx, func(tx *store.Tx) (err error) {
		if why, err = p.registerTx(tx, by, h, &r, answer); err != nil {
			return err
		}
		if why.fault != nil {
			_, err := p.Log.AppendTx(tx, p.event(evRefused, by, row{account: h.Account, home: h.Home}, map[string]string{"reason": why.reason}))
			return err
		}
		if err := insert(tx, r); err != nil {
			return err
		}
		if _, err := p.Log.AppendTx(tx, p.event(evAdded, by, r, map[string]string{"model": r.kind().String()})); err != nil {
			return err
		}
		return p.changedTx(ctx, tx, by, h.Account, text.New("A passkey was added"), false)
	})
	switch {
	case err != nil:
		return "", fmt.Errorf("adding a passkey: %w", err)
	case why.fault != nil:
		return "", why.fault
	}
	return r.passkey, nil
}

// registerTx checks an answer (L3, 7.1) and fills the row.
func (p *Passkeys) registerTx(tx *store.Tx, by access.Subject, h Holder, r *row, answer []byte) (refusal, error) {
	parsed, ok := readCreation(answer)
	if !ok {
		return refusedOdd, nil
	}
	session, ok, err := p.take(tx, asking{forRegister, h.Account, string(by.Session)}, parsed.Response.CollectedClientData.Challenge)
	if err != nil || !ok {
		return refusedStale, err
	}
	have, err := of(tx, h.Account)
	if err != nil || len(have) >= Max {
		return refusedMany, err
	}
	// L3, 7.1 step 26: nobody's passkey twice, whoever's it is.
	if taken, err := byCredential(tx, parsed.Response.AttestationObject.AuthData.AttData.CredentialID); err != nil || taken.passkey != "" {
		return refusedTwice, err
	}
	handle, err := handleOf(tx, h.Account)
	if err != nil {
		return refusal{}, err
	}
	rp, strict, err := p.ceremonyTx(tx, h.Account)
	if err != nil {
		return refusal{}, err
	}
	credential, err := rp.CreateCredential(user{handle: handle}, session, parsed)
	if err != nil {
		why := p.whose(parsed.Response.CollectedClientData, parsed.Response.AttestationObject.AuthData, nil)
		if strict && why == refusedWrong {
			why = refusedMakers
		}
		return why, nil
	}
	if !strong(credential.PublicKey) {
		return refusedKey, nil
	}
	// The library asks for a chain where there is one. Here it has to be one.
	if strict && !anchored(credential.AttestationType) {
		return refusedMakers, nil
	}
	r.fill(credential, strict)
	r.createdAt = store.Micros(p.now())
	return refusal{}, nil
}

// readCreation reads what a device made.
func readCreation(answer []byte) (*protocol.ParsedCredentialCreationData, bool) {
	if len(answer) > maxAnswer {
		return nil, false
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	return parsed, err == nil
}

// anchored reports whether an attestation of the type stands on a certificate
// of the maker (L3, 6.5.3).
func anchored(attestation string) bool {
	switch attestation {
	case "basic_full", "attca", "anonca":
		return true
	}
	return false
}

// minModulus is the length of the shortest RSA modulus in bits: 112 bits of
// security (SP 800-131A rev. 2, table 2).
const minModulus = 2048

// strong reports whether a key is one that is taken.
func strong(key []byte) bool {
	parsed, err := webauthncose.ParsePublicKey(key)
	if err != nil {
		return false
	}
	if rsa, ok := parsed.(webauthncose.RSAPublicKeyData); ok {
		return new(big.Int).SetBytes(rsa.Modulus).BitLen() >= minModulus
	}
	return true
}

// fill keeps what a ceremony found.
func (r *row) fill(c *webauthn.Credential, attested bool) {
	r.credential, r.publicKey, r.counter = c.ID, c.PublicKey, int64(c.Authenticator.SignCount)
	r.eligible, r.backedUp = c.Flags.BackupEligible, c.Flags.BackupState
	r.aaguid, r.attachment = c.Authenticator.AAGUID, string(c.Authenticator.Attachment)
	r.format, r.attestation, r.attested = c.AttestationFormat, c.AttestationType, attested
	if attested {
		r.statement = c.Attestation.Object
	}
	var transports []string
	for _, t := range c.Transport {
		if slices.Contains(transportNames, string(t)) && !slices.Contains(transports, string(t)) {
			transports = append(transports, string(t))
		}
	}
	r.transports = strings.Join(transports, " ")
}

// transportNames are the ways to reach a device (L3, 5.8.4). What is not among
// them is not kept: it comes from the browser, unsigned.
var transportNames = []string{"usb", "nfc", "ble", "smart-card", "hybrid", "internal"}
