package account

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
)

// PathUnlock is the page behind the link that unlocks an account.
const PathUnlock = "/-/unlock/"

// passLife is how long a browser in which an account was unlocked has a count of
// its own before its holder has signed in there.
const passLife = 24 * time.Hour

// standing is what a browser is to an account that is guessed at.
type standing struct {
	known  bool // its holder has signed in there, or has unlocked the account there
	pass   bool // the latter
	digest secret.Digest
}

// standingTx finds out what the browser with a device token is to an account.
func (a *Accounts) standingTx(tx *store.Tx, account id.Account, digest secret.Digest) (standing, error) {
	s := standing{digest: digest} // without an account by the same queries: a network that cannot pay gets no hash to hide behind
	_, known, err := deviceTx(tx, account, digest)
	if err != nil || known {
		s.known = known
		return s, err
	}
	l, ok, err := peekLink(tx, passOf(account, digest), a.now())
	s.pass = ok && l.kind == linkPass && l.account == account
	s.known = s.pass
	return s, err
}

// passOf is the digest under which it is kept that an account was unlocked in a
// browser.
func passOf(account id.Account, device secret.Digest) secret.Digest {
	return sha256.Sum256(append([]byte("pass\x00"+string(account)+"\x00"), device[:]...))
}

// AskUnlock sends the link that unlocks an account, for whoever is kept out of a
// new browser by what strangers do. As with a link to reset the password, the
// answer and the work are the same without an account, and so are the bounds.
func (a *Accounts) AskUnlock(ctx context.Context, by access.Subject, email string) error {
	email, err := readEmail(email)
	if err != nil {
		return err
	}
	if err := a.effort(by); err != nil {
		return err
	}
	indexes, err := a.indexes(ctx, email)
	if err != nil {
		return err
	}
	if _, err := a.Hashing.Verify(ctx, "", secret.String{}); err != nil { // as in AskReset
		return err
	}
	token, l, err := a.newLink(ctx, linkUnlock, "", a.Config.ResetLife.D(), nil)
	if err != nil {
		return err
	}
	l.index = indexes[0]
	network, err := a.network(ctx, by)
	if err != nil {
		return err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		l := l
		r, err := byEmail(tx, indexes)
		if err != nil {
			return err
		}
		l.account = r.account
		holder, err := a.holder(ctx, r) // never what was typed: see AskReset
		if err != nil {
			return err
		}
		letter, name := a.newBrowserLetter(holder, r.person, token), evUnlockAsked
		if !r.state.returns() || r.confirmedAt == 0 {
			l.kind, letter, name = linkNone, decoy(letter, email), evUnlockUnknown
		}
		if err := a.sendSome(tx, forUnlock, network, l, letter); err != nil {
			return err
		}
		_, err = a.Log.AppendTx(tx, a.event(name, by, r.person, nil))
		return err
	})
	if err != nil {
		return fmt.Errorf("recording that a link to unlock was asked for: %w", err)
	}
	return nil
}

// PeekUnlock says whether a link that unlocks an account can be used, and uses
// nothing up. It returns the address of the account.
func (a *Accounts) PeekUnlock(ctx context.Context, token secret.String) (email string, err error) {
	l, err := a.peek(ctx, token, linkUnlock)
	if err != nil {
		return "", err
	}
	v, err := a.Get(ctx, l.account)
	return v.Email, err
}

// UnlockByLink uses a mailed link up: all wrong guesses at the account are
// forgotten, and this browser counts by itself from now on, as one in which its
// holder has signed in before. Nobody is signed in by it. It returns a value for
// the device cookie, or nothing where the browser has one.
func (a *Accounts) UnlockByLink(ctx context.Context, by access.Subject, token, device secret.String) (secret.String, error) {
	l, err := a.peek(ctx, token, linkUnlock)
	if err != nil {
		return secret.String{}, a.linkFailed(ctx, by, err)
	}
	b, err := a.browser(ctx, device)
	if err != nil {
		return secret.String{}, err
	}
	given := secret.String{}
	if !b.held {
		given = b.fresh
		b.digest = sha256.Sum256([]byte(given.Reveal()))
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		if _, ok, err := takeLink(tx, l.digest, a.now()); err != nil || !ok {
			return orGone(err)
		}
		r, err := byID(tx, l.account)
		if err != nil || r.state != Active {
			return orGone(err)
		}
		if _, err := a.forgetGuessesTx(tx, r.account); err != nil {
			return err
		}
		if err := a.passTx(tx, r.account, b.digest); err != nil {
			return err
		}
		e := a.event(evUnlocked, by, r.person, nil)
		e.Actor = self(r.account)
		_, err = a.Log.AppendTx(tx, e)
		return err
	})
	if err != nil {
		return secret.String{}, a.linkFailed(ctx, by, fmt.Errorf("unlocking an account: %w", err))
	}
	return given, nil
}

// passTx lets a browser count by itself for a while.
func (a *Accounts) passTx(tx *store.Tx, account id.Account, device secret.Digest) error {
	pass, now := passOf(account, device), a.now()
	if _, err := tx.Exec(`DELETE FROM account_link WHERE digest = $1`, pass[:]); err != nil {
		return err
	}
	return insertLink(tx, link{digest: pass, kind: linkPass, account: account, createdAt: store.Micros(now), expiresAt: store.Micros(now.Add(passLife))})
}

// forgetGuessesTx forgets the wrong guesses at the password of an account,
// wherever they came from, and the links that would do so. It reports whether
// there were any. Those at its codes stay, but of known browsers; see codesKey.
func (a *Accounts) forgetGuessesTx(tx *store.Tx, account id.Account) (bool, error) {
	if err := dropLinks(tx, account, linkUnlock); err != nil {
		return false, err
	}
	strangers, unlocked := a.codesKey(account), a.unlockedCodesKey(account)
	n, err := tx.Exec(`DELETE FROM account_guess WHERE account = $1 AND key <> $2 AND key <> $3`, account, strangers[:], unlocked[:])
	return n > 0, err
}

// unlockTx forgets all wrong guesses at an account, at its codes too. It reports
// whether there were any.
func (a *Accounts) unlockTx(tx *store.Tx, account id.Account) (bool, error) {
	locked, err := a.forgetGuessesTx(tx, account)
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(`DELETE FROM account_guess WHERE account = $1`, account)
	return locked || n > 0, err
}

// Unlock forgets all wrong guesses at an account, for the operator on the host.
// It reports whether there were any.
func (a *Accounts) Unlock(ctx context.Context, by access.Subject, account id.Account) (locked bool, err error) {
	if err := onHost(by); err != nil {
		return false, err
	}
	r, _, err := a.find(ctx, account)
	if err != nil {
		return false, err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		if locked, err = a.unlockTx(tx, account); err != nil {
			return err
		}
		_, err = a.Log.AppendTx(tx, a.event(evUnlocked, by, r.person, nil))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("unlocking an account: %w", err)
	}
	return locked, nil
}

// SetGuessing sets how many wrong guesses in a row an account bears without a
// pause, and how long the first pause is, for the operator on the host: stricter
// than configured, never laxer. Zero is as configured.
func (a *Accounts) SetGuessing(ctx context.Context, by access.Subject, account id.Account, free int, delay time.Duration) error {
	if err := onHost(by); err != nil {
		return err
	}
	if free < 0 || free > a.Config.Guessing.Free || free > 0 && delay < time.Second {
		return fault.New(fault.Invalid, "account.guessing", "An account can bear 1 to %d wrong guesses, and then a pause of at least a second.", a.Config.Guessing.Free)
	}
	r, _, err := a.find(ctx, account)
	if err != nil {
		return err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE account SET guess_free = $1, guess_delay = $2 WHERE account = $3`, free, delay.Microseconds(), account)
		if err != nil {
			return err
		}
		_, err = a.Log.AppendTx(tx, a.event(evGuessing, by, r.person, map[string]string{"free": fmt.Sprint(free), "pause": delay.String()}))
		return err
	})
	if err != nil {
		return fmt.Errorf("setting how many guesses an account bears: %w", err)
	}
	return nil
}
