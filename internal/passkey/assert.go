package passkey

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/text"
)

// maxAnswer bounds what a device sends: a chain of certificates fits well.
const maxAnswer = 32 << 10

// BeginSignIn returns what a browser asks its devices to sign somebody in
// whose passkey tells who it is (L3, 7.2 step 1, with no allowCredentials):
// PublicKeyCredentialRequestOptionsJSON as "publicKey". The token is what the
// browser will be recognised by.
func (p *Passkeys) BeginSignIn(ctx context.Context, browser secret.String) (json.RawMessage, error) {
	if err := p.enabled(); err != nil {
		return nil, err
	}
	options, session, err := p.free.BeginDiscoverableLogin()
	if err != nil {
		return nil, fmt.Errorf("beginning a sign-in with a passkey: %w", err)
	}
	err = p.DB.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("a challenge opens nothing; its answer is recorded")
		return p.keep(tx, asking{forSignIn, "", browser.Reveal()}, session)
	})
	if err != nil {
		return nil, fmt.Errorf("keeping a challenge: %w", err)
	}
	return json.Marshal(options)
}

// SignInTx checks the answer to [Passkeys.BeginSignIn] and uses its challenge
// up, in the transaction in which a session begins. Errors are those of the
// installation only; what the answer lacks is Result.Refused.
func (p *Passkeys) SignInTx(ctx context.Context, tx *store.Tx, by access.Subject, browser secret.String, answer []byte) (Result, error) {
	return p.answered(ctx, tx, by, asking{forSignIn, "", browser.Reveal()}, answer)
}

// BeginTx returns what a browser asks the devices of one account, as a second
// factor or when a person is asked again. The binding names the pending sign-in
// or the session. fault.NotFound where the account has no passkey that works.
func (p *Passkeys) BeginTx(ctx context.Context, tx *store.Tx, account id.Account, binding string) (json.RawMessage, error) {
	if err := p.enabled(); err != nil {
		return nil, err
	}
	working, err := p.workingTx(tx, account)
	if err != nil {
		return nil, err
	}
	if len(working) == 0 {
		return nil, fault.New(fault.NotFound, "passkey.none", "This account has no passkey that can be used here.")
	}
	handle, err := handleOf(tx, account)
	if err != nil {
		return nil, err
	}
	options, session, err := p.free.BeginLogin(user{handle: handle, passkeys: working})
	if err != nil {
		return nil, fmt.Errorf("asking for a passkey: %w", err)
	}
	if err := p.keep(tx, asking{forAnswer, account, binding}, session); err != nil {
		return nil, err
	}
	return json.Marshal(options)
}

// AnswerTx checks the answer to [Passkeys.BeginTx] for the same account and
// binding, and uses its challenge up. Why one was refused is in the log: an
// answer that was made for another site tells of one that asks for answers to
// this one. See [Passkeys.SignInTx].
func (p *Passkeys) AnswerTx(ctx context.Context, tx *store.Tx, by access.Subject, h Holder, binding string, answer []byte) (Result, error) {
	r, err := p.answered(ctx, tx, by, asking{forAnswer, h.Account, binding}, answer)
	if err == nil && r.Refused != nil {
		e := p.event(evAnswered, by, row{passkey: r.Passkey, account: h.Account, home: h.Home}, map[string]string{"reason": r.Reason})
		if r.Account != h.Account { // somebody else's passkey is nothing to tell here
			e.Targets = e.Targets[:1]
		}
		_, err = p.Log.AppendTx(tx, e)
	}
	return r, err
}

// workingTx are the passkeys of an account that are accepted from it.
func (p *Passkeys) workingTx(tx *store.Tx, account id.Account) ([]row, error) {
	all, err := of(tx, account)
	if err != nil {
		return nil, err
	}
	strict, err := p.attestsTx(tx, account)
	if err != nil {
		return nil, err
	}
	var working []row
	for _, r := range all {
		if r.stoppedAt == 0 && (r.attested || !strict) {
			working = append(working, r)
		}
	}
	return working, nil
}

// attestsTx reports whether only attested passkeys are taken from an account.
func (p *Passkeys) attestsTx(tx *store.Tx, account id.Account) (bool, error) {
	switch {
	case p.Config.Attested == AttestEverybody:
		return true, nil
	case p.Config.Attested != AttestStaff || p.Staff == nil:
		return false, nil
	}
	return p.Staff.StaffTx(tx, account)
}

// answered checks an answer (L3, 7.2).
func (p *Passkeys) answered(ctx context.Context, tx *store.Tx, by access.Subject, a asking, answer []byte) (Result, error) {
	if err := p.enabled(); err != nil {
		return Result{}, err
	}
	parsed, ok := readAnswer(answer)
	if !ok {
		return Result{Account: a.account, Refused: refusedOdd.fault, Reason: refusedOdd.reason}, nil
	}
	session, ok, err := p.take(tx, a, parsed.Response.CollectedClientData.Challenge)
	if err != nil {
		return Result{}, fmt.Errorf("looking for a challenge: %w", err)
	}
	if !ok {
		return Result{Account: a.account, Refused: refusedStale.fault, Reason: refusedStale.reason}, nil
	}
	r, err := byCredential(tx, parsed.RawID)
	if err != nil {
		return Result{}, fmt.Errorf("looking for a passkey: %w", err)
	}
	result := Result{Account: r.account, Home: r.home, Passkey: r.passkey}
	why, err := p.judge(tx, a, r, session, parsed)
	if err == nil && why == refusedCounter {
		err = p.stopTx(ctx, tx, by, r)
	}
	if err != nil {
		return Result{}, fmt.Errorf("checking a passkey: %w", err)
	}
	if why.fault != nil {
		if result.Account == "" {
			result.Account = a.account
		}
		result.Refused, result.Reason = why.fault, why.reason
		return result, nil
	}
	result.AMR = r.proves()
	return result, nil
}

// readAnswer reads what a device signed.
func readAnswer(answer []byte) (*protocol.ParsedCredentialAssertionData, bool) {
	if len(answer) > maxAnswer {
		return nil, false
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	return parsed, err == nil
}

// judge says why an answer is refused; the zero refusal is for one that is
// accepted, and whose use is noted.
func (p *Passkeys) judge(tx *store.Tx, a asking, r row, session webauthn.SessionData, parsed *protocol.ParsedCredentialAssertionData) (refusal, error) {
	switch {
	case r.passkey == "":
		return refusedUnknown, nil
	case a.account != "" && a.account != r.account:
		return refusedForeign, nil
	case r.stoppedAt != 0:
		return refusedStopped, nil
	}
	if strict, err := p.attestsTx(tx, r.account); err != nil || strict && !r.attested {
		return refusedModel, err
	}
	handle, err := handleOf(tx, r.account)
	if err != nil {
		return refusal{}, err
	}
	credential, err := p.verify(user{handle: handle, passkeys: []row{r}}, a, session, parsed)
	if err != nil {
		return p.whose(parsed.Response.CollectedClientData, parsed.Response.AuthenticatorData, &r), nil
	}
	if credential.Authenticator.CloneWarning {
		return refusedCounter, nil
	}
	ok, err := used(tx, r, credential.Authenticator.SignCount, credential.Flags.BackupState, p.now())
	if err == nil && !ok {
		return refusedStale, nil // it was used, stopped or removed meanwhile
	}
	return refusal{}, err
}

// verify has the library check everything that is signed: type, challenge,
// origin, RP ID, presence, verification, backup flags, signature, counter (L3,
// 7.2 steps 5 to 24).
func (p *Passkeys) verify(u user, a asking, session webauthn.SessionData, parsed *protocol.ParsedCredentialAssertionData) (*webauthn.Credential, error) {
	if a.purpose == forSignIn {
		return p.free.ValidateDiscoverableLogin(func(_, _ []byte) (webauthn.User, error) { return u, nil }, session, parsed)
	}
	// The challenge was for every passkey of the account; which of them it was
	// has been looked up, so the rest need not be read again.
	session.AllowedCredentialIDs = [][]byte{u.passkeys[0].credential}
	return p.free.ValidateLogin(u, session, parsed)
}

// stopTx ends a passkey whose counter went back, and tells its holder.
func (p *Passkeys) stopTx(ctx context.Context, tx *store.Tx, by access.Subject, r row) error {
	if err := stop(tx, r, p.now()); err != nil {
		return err
	}
	if _, err := p.Log.AppendTx(tx, p.event(evStopped, by, r, nil)); err != nil {
		return err
	}
	what := text.New("A passkey was stopped, because there may be a copy of it")
	err := p.changedTx(ctx, tx, by, r.account, what, true)
	if fault.KindOf(err) == fault.Conflict { // the account would need another password; its next sign-in asks for it
		err = p.changedTx(ctx, tx, by, r.account, what, false)
	}
	if fault.KindOf(err) == fault.NotFound { // an account at rest has no sessions, and learns it from the list
		err = nil
	}
	return err
}

func (p *Passkeys) changedTx(ctx context.Context, tx *store.Tx, by access.Subject, account id.Account, what text.Text, removed bool) error {
	if p.Changed == nil {
		return nil
	}
	return p.Changed.FactorChangedTx(ctx, tx, by, account, what, removed)
}

func (p *Passkeys) rpIDHash() []byte {
	h := sha256.Sum256([]byte(p.rpID))
	return h[:]
}
