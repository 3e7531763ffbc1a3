package passkey

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"troth/internal/id"
	"troth/internal/store"
)

// The purposes of challenges. An answer to one is none to another.
const (
	forSignIn   = "sign-in"  // without a password: whose passkey it is, the answer tells
	forAnswer   = "answer"   // as a second factor, or when the person is asked again
	forRegister = "register" // a new passkey
)

// asking says what a challenge is for.
type asking struct {
	purpose string
	account id.Account // "" for forSignIn
	binding string     // what names the browser: a cookie, a pending sign-in, a session
}

func (a asking) digest() []byte {
	d := sha256.Sum256([]byte(a.purpose + "\x00" + a.binding))
	return d[:]
}

const (
	maxAsked   = 8  // challenges that wait in one browser; the oldest go first
	sweepAsked = 16 // expired ones that go when a new one comes, so that strangers cannot fill the table
)

// keep stores the challenge of a ceremony that begins.
func (p *Passkeys) keep(tx *store.Tx, a asking, s *webauthn.SessionData) error {
	ceremony, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("writing what a passkey is asked: %w", err)
	}
	digest, err := challengeDigest(s.Challenge)
	if err != nil {
		return err
	}
	now := p.now()
	if _, err := sweep(tx, now, sweepAsked); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM passkey_challenge WHERE binding = $1 AND digest NOT IN
			(SELECT digest FROM passkey_challenge WHERE binding = $2 ORDER BY created_at DESC LIMIT $3)`, a.digest(), a.digest(), maxAsked-1); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO passkey_challenge (digest, purpose, account, binding, ceremony, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, digest, a.purpose, a.account, a.digest(), ceremony, store.Micros(now), store.Micros(now.Add(challengeLife)))
	return err
}

// take uses a challenge up. Of several that take it, one finds it; a challenge
// of another purpose, account or browser is not found, and stays.
func (p *Passkeys) take(tx *store.Tx, a asking, challenge string) (webauthn.SessionData, bool, error) {
	var s webauthn.SessionData
	digest, err := challengeDigest(challenge)
	if err != nil {
		return s, false, nil
	}
	var ceremony []byte
	err = tx.QueryRow(`DELETE FROM passkey_challenge WHERE digest = $1 AND purpose = $2 AND account = $3 AND binding = $4 AND expires_at > $5
		RETURNING ceremony`, digest, a.purpose, a.account, a.digest(), store.Micros(p.now())).Scan(&ceremony)
	if errors.Is(err, store.ErrNoRows) {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	if err := json.Unmarshal(ceremony, &s); err != nil {
		return s, false, fmt.Errorf("reading what a passkey was asked: %w", err)
	}
	return s, true, nil
}

// challengeDigest is under what a challenge is stored.
func challengeDigest(challenge string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(challenge)
	if err != nil {
		return nil, fmt.Errorf("reading a challenge: %w", err)
	}
	d := sha256.Sum256(raw)
	return d[:], nil
}

// sweep removes challenges whose time is over.
func sweep(tx *store.Tx, now time.Time, limit int) (int64, error) {
	return tx.Exec(`DELETE FROM passkey_challenge WHERE digest IN
		(SELECT digest FROM passkey_challenge WHERE expires_at <= $1 LIMIT $2)`, store.Micros(now), limit)
}
