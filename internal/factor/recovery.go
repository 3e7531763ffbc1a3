package factor

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"strings"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/mail"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/text"
)

const (
	recoveryCodes = 10
	// 80 bits: SP 800-63B-4, 3.1.2.2 asks for a salted and slow hash below 64.
	recoverySize   = 10 // bytes
	recoveryLength = recoverySize * 8 / 5
	// FewLeft is how many recovery codes are few enough to warn.
	FewLeft = 3
)

// crockford has no letters that look like others.
var crockford = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

var errNoFactor = fault.New(fault.Conflict, "factor.recovery_alone", "Recovery codes stand in for another sign-in method. Set up a passkey or an authenticator app first.")

// MakeRecovery makes ten new recovery codes and voids the older ones. They are
// returned once and can never be shown again. It is fault.Conflict where there
// is no factor that they could stand in for.
func (f *Factors) MakeRecovery(ctx context.Context, by access.Subject) ([]secret.String, error) {
	if err := own(by); err != nil {
		return nil, err
	}
	var codes []secret.String
	var digests [][]byte
	for range recoveryCodes {
		raw := make([]byte, recoverySize)
		rand.Read(raw) // never fails: crypto/rand stops the program instead
		code := crockford.EncodeToString(raw)
		digest, err := f.recoveryDigests(ctx, by.Account, code)
		if err != nil {
			return nil, err
		}
		codes, digests = append(codes, secret.Of(grouped(code, "-"))), append(digests, digest[0])
	}
	now := f.Now()
	err := f.DB.Write(ctx, func(tx *store.Tx) error {
		counts, err := f.countsTx(ctx, tx, by.Account)
		if err != nil {
			return err
		}
		if !counts {
			return errNoFactor
		}
		h, err := f.Holders.HolderTx(ctx, tx, by.Account)
		if err != nil {
			return err
		}
		if _, err := dropCodesTx(tx, by.Account); err != nil {
			return err
		}
		for _, d := range digests {
			if err := insertCodeTx(tx, by.Account, d, now); err != nil {
				return err
			}
		}
		return f.changed(ctx, tx, by, h.Home, by.Account, evRecovery, KindRecovery, text.New("New recovery codes were made. Older ones are void."), false)
	})
	if err != nil {
		return nil, fmt.Errorf("making recovery codes: %w", err)
	}
	return codes, nil
}

// recoveryDigests are the keyed digests of a code under every version of the
// key, the newest first. The code of one account is none of another.
func (f *Factors) recoveryDigests(ctx context.Context, account id.Account, code string) ([][]byte, error) {
	all, err := f.Keys.Indexes(ctx, "", "factor_recovery.digest", string(account)+"/"+code)
	if err != nil {
		return nil, fmt.Errorf("computing the digest of a recovery code: %w", err)
	}
	return all, nil
}

// readRecovery is a recovery code as it was made, from what somebody typed: in
// any case, with any grouping, and with the letters that the alphabet has not
// for the digits that they look like.
func readRecovery(code secret.String) string {
	s := strings.NewReplacer("o", "0", "i", "1", "l", "1").Replace(strings.ToLower(typed(code)))
	if len(s) != recoveryLength || strings.Trim(s, "0123456789abcdefghjkmnpqrstvwxyz") != "" {
		return strings.Repeat("!", recoveryLength) // the work is the same; no code looks so
	}
	return s
}

// recoveryTx uses a recovery code up.
func (f *Factors) recoveryTx(ctx context.Context, tx *store.Tx, q Question, code secret.String) (bool, error) {
	digests, err := f.recoveryDigests(ctx, q.Account, readRecovery(code))
	if err != nil {
		return false, err
	}
	spent := false
	for _, d := range digests {
		ok, err := spendTx(tx, q.Account, d, f.Now())
		if err != nil {
			return false, err
		}
		spent = spent || ok
	}
	if !spent {
		return false, nil
	}
	if _, err := f.Log.AppendTx(tx, f.event(evSpent, q.By, q.Home, q.Account, KindRecovery)); err != nil {
		return false, err
	}
	return true, f.spentTx(ctx, tx, q.Account)
}

// spentTx tells the holder that a recovery code was used, and how many are
// left: a code is used rarely, and a list that was found is used by others.
func (f *Factors) spentTx(ctx context.Context, tx *store.Tx, account id.Account) error {
	h, err := f.Holders.HolderTx(ctx, tx, account)
	if err != nil {
		return err
	}
	left, _, err := codesLeftTx(tx, account)
	if err != nil {
		return err
	}
	say := f.Printer.Say
	few := text.New("%d of your recovery codes are left.", left)
	if left <= FewLeft {
		few = text.New("Only %d of your recovery codes are left. Make new ones soon:", left)
	}
	return f.Post.SendTx(tx, mail.Message{
		Kind: "factor.recovery_used", To: h.Email, Account: account, Tenant: h.Home,
		Subject: say(text.New("A recovery code was used")),
		Body: strings.Join([]string{
			say(text.New("One of your recovery codes was used to prove that it is you, at %s.", f.Origin)),
			say(few),
			f.Origin + "/-/account/factors",
			say(text.New("If it was not you, somebody else has your codes and your password: set a new password, and make new codes.")),
			f.Origin + "/-/reset",
		}, "\n\n") + "\n",
	})
}

// equalAny compares with every digest, whatever it finds.
func equalAny(digests [][]byte, with []byte) bool {
	found := 0
	for _, d := range digests {
		found |= subtle.ConstantTimeCompare(d, with)
	}
	return found == 1
}
