package factor

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/mail"
	"troth/internal/secret"
	"troth/internal/sms"
	"troth/internal/store"
	"troth/internal/text"
)

const (
	sentDigits = 8                // SP 800-63B-4, 3.1.3.2 wants six at least
	sentLife   = 10 * time.Minute // the same section
	maxTries   = 5
	again      = time.Minute // before a code for the same purpose is sent again
	perHour    = 8           // codes of one kind for one account
	perDay     = 30
)

// newCode makes a code of eight digits, all equally likely.
func newCode() secret.String {
	n, err := rand.Int(rand.Reader, big.NewInt(1e8))
	if err != nil {
		panic(err) // never: crypto/rand stops the program instead
	}
	return secret.Of(fmt.Sprintf("%0*d", sentDigits, n))
}

// sentDigests are the keyed digests of a code that was sent, under every
// version of the key, the newest first.
func (f *Factors) sentDigests(ctx context.Context, account id.Account, kind, purpose, code string) ([][]byte, error) {
	all, err := f.Keys.Indexes(ctx, "", "factor_code.digest", strings.Join([]string{string(account), kind, purpose, code}, "/"))
	if err != nil {
		return nil, fmt.Errorf("computing the digest of a code: %w", err)
	}
	return all, nil
}

// makeTx makes and stores a code for a purpose, unless too many were sent.
func (f *Factors) makeTx(ctx context.Context, tx *store.Tx, account id.Account, kind, purpose string) (secret.String, error) {
	now := f.Now()
	before, err := newestTx(tx, account, kind, purpose)
	if err != nil {
		return secret.String{}, err
	}
	if wait := store.FromMicros(before.sentAt).Add(again).Sub(now); before.sentAt != 0 && wait > 0 {
		return secret.String{}, fault.New(fault.TooMany, "factor.just_sent", "A code was sent less than a minute ago. Give it a moment, and then ask for another one.").In(wait)
	}
	hour, err := sentSinceTx(tx, account, kind, now.Add(-time.Hour))
	if err != nil {
		return secret.String{}, err
	}
	day, err := sentSinceTx(tx, account, kind, now.Add(-24*time.Hour))
	if err != nil {
		return secret.String{}, err
	}
	if hour >= perHour || day >= perDay {
		return secret.String{}, fault.New(fault.TooMany, "factor.too_many_sent", "Too many codes were sent. Use another way, or try again in an hour.").In(time.Hour)
	}
	code := newCode()
	digests, err := f.sentDigests(ctx, account, kind, purpose, code.Reveal())
	if err != nil {
		return secret.String{}, err
	}
	return code, insertSentTx(tx, account, kind, purpose, sent{
		digest: digests[0], sentAt: store.Micros(now), expiresAt: store.Micros(now.Add(sentLife)),
	})
}

// checkTx checks a code that was sent for a purpose, and uses it up. Only the
// newest is good, for five answers.
func (f *Factors) checkTx(ctx context.Context, tx *store.Tx, account id.Account, kind, purpose string, code secret.String) (bool, error) {
	s, err := newestTx(tx, account, kind, purpose)
	if err != nil {
		return false, err
	}
	digests, err := f.sentDigests(ctx, account, kind, purpose, typed(code))
	if err != nil {
		return false, err
	}
	right := equalAny(digests, s.digest)
	if s.sentAt == 0 || s.used || s.tries >= maxTries || store.Micros(f.Now()) >= s.expiresAt {
		return false, nil
	}
	return right, answeredTx(tx, account, kind, purpose, s, right)
}

// mailTx mails a code.
func (f *Factors) mailTx(ctx context.Context, tx *store.Tx, account id.Account, purpose string) error {
	h, err := f.Holders.HolderTx(ctx, tx, account)
	if err != nil {
		return err
	}
	code, err := f.makeTx(ctx, tx, account, KindMail, purpose)
	if err != nil {
		return err
	}
	say := f.Printer.Say
	return f.Post.SendTx(tx, mail.Message{
		Kind: "factor.code", To: h.Email, Account: account, Tenant: h.Home,
		Subject: say(text.New("Your code to sign in")),
		Body: strings.Join([]string{
			say(text.New("Somebody who knows your password is signing in to your account at %s. If it is you, enter this code there. It is good once, for ten minutes, in that browser alone.", f.Origin)),
			code.Reveal(),
			say(text.New("Nobody from this service will ever ask you for it.")),
			say(text.New("If it is not you, somebody else knows your password: set a new one.")),
			f.Origin + "/-/reset",
		}, "\n\n") + "\n",
	})
}

// textTx sends a code by text message to a number. Its last line binds it to
// this site, so that browsers offer it here and nowhere else
// (https://wicg.github.io/sms-one-time-codes/).
func (f *Factors) textTx(ctx context.Context, tx *store.Tx, r row, to sms.Number, purpose string) error {
	code, err := f.makeTx(ctx, tx, r.account, KindText, purpose)
	if err != nil {
		return err
	}
	return f.Texts.SendTx(tx, sms.Text{
		Kind: "factor.code", To: to, Account: r.account, Tenant: r.home, Until: f.Now().Add(sentLife),
		Body: f.Printer.Say(text.New("%s is your code for %s. Nobody from there will ever ask you for it.", code.Reveal(), f.Service)) + "\n\n@" + f.Host + " #" + code.Reveal(),
	})
}
