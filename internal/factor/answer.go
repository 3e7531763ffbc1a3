package factor

import (
	"context"
	"fmt"
	"strings"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/text"
)

// Offer is one way in which an account can answer.
type Offer struct {
	Kind   string
	Label  string // what tells its holder which one is meant: "•••• 17", "Phone"
	Counts bool   // as a second factor
	Sends  bool   // a code has to be sent first
}

// Question is what an account is asked.
type Question struct {
	Account id.Account
	Home    id.Tenant
	Kind    string
	For     string         // names the sign-in: a code for one is good for no other
	By      access.Subject // who answers, and from where
}

// countsTx reports whether an account has a factor that recovery codes can
// stand in for.
func (f *Factors) countsTx(ctx context.Context, tx *store.Tx, account id.Account) (bool, error) {
	all, err := factorsTx(tx, account)
	if err != nil {
		return false, err
	}
	if count(all, KindApp)+count(all, KindText) > 0 {
		return true, nil
	}
	if f.Others == nil {
		return false, nil
	}
	return f.Others.CountsTx(ctx, tx, account)
}

// OffersTx lists what an account has set up, strongest first. Recovery codes
// are offered beside a factor that counts, and only there.
func (f *Factors) OffersTx(ctx context.Context, tx *store.Tx, account id.Account) ([]Offer, error) {
	all, err := factorsTx(tx, account)
	if err != nil {
		return nil, fmt.Errorf("reading the factors of an account: %w", err)
	}
	var offers, mailed []Offer
	var apps []string
	for _, r := range all {
		switch r.kind {
		case KindApp:
			name, err := f.name(ctx, r)
			if err != nil {
				return nil, err
			}
			apps = append(apps, name)
		case KindText:
			to, err := f.number(ctx, r)
			if err != nil {
				return nil, err
			}
			offers = append(offers, Offer{Kind: KindText, Label: to.Masked(), Counts: true, Sends: true})
		case KindMail:
			if f.Config.MailedCodes {
				mailed = []Offer{{Kind: KindMail, Sends: true}}
			}
		}
	}
	if len(apps) > 0 {
		offers = append([]Offer{{Kind: KindApp, Label: strings.Join(apps, ", "), Counts: true}}, offers...)
	}
	spare, err := f.spareTx(ctx, tx, account, len(offers) > 0)
	if err != nil {
		return nil, err
	}
	return append(append(offers, spare...), mailed...), nil
}

// spareTx offers recovery codes, where some are left and something counts.
func (f *Factors) spareTx(ctx context.Context, tx *store.Tx, account id.Account, counts bool) ([]Offer, error) {
	left, _, err := codesLeftTx(tx, account)
	if err != nil || left == 0 {
		return nil, err
	}
	if !counts {
		if counts, err = f.countsTx(ctx, tx, account); err != nil || !counts {
			return nil, err
		}
	}
	return []Offer{{Kind: KindRecovery, Label: f.Printer.Say(text.New("%d left", left)), Counts: true}}, nil
}

// SendTx sends the code that a question of a sending kind waits for; other
// kinds need nothing. fault.TooMany says that enough were sent. Who asks has
// shown a password, and nothing else.
func (f *Factors) SendTx(ctx context.Context, tx *store.Tx, q Question) error {
	if q.Kind != KindText && q.Kind != KindMail {
		return nil
	}
	all, err := factorsTx(tx, q.Account)
	if err != nil {
		return fmt.Errorf("reading the factors of an account: %w", err)
	}
	for _, r := range all {
		if r.kind != q.Kind {
			continue
		}
		if _, err := f.Log.AppendTx(tx, f.event(evSent, q.By, r.home, r.account, r.kind)); err != nil {
			return err
		}
		if q.Kind == KindMail {
			return f.mailTx(ctx, tx, q.Account, q.For)
		}
		to, err := f.number(ctx, r)
		if err != nil {
			return err
		}
		return f.textTx(ctx, tx, r, to, q.For)
	}
	return errNone
}

// AnswerTx checks a code and uses it up, in the transaction in which the
// sign-in goes on: it is accepted once. It returns what a right answer is
// called (RFC 8176), and nothing for a wrong one, which is no error; what it
// wrote about a wrong one has to be kept.
func (f *Factors) AnswerTx(ctx context.Context, tx *store.Tx, q Question, code secret.String) (amr []string, err error) {
	var ok bool
	switch q.Kind {
	case KindApp:
		amr = []string{"otp"}
		ok, err = f.appTx(ctx, tx, q, code)
	case KindRecovery:
		amr = []string{"otp"}
		ok, err = f.recoveryTx(ctx, tx, q, code)
	case KindText:
		amr = []string{"sms"}
		ok, err = f.checkTx(ctx, tx, q.Account, q.Kind, q.For, code)
	case KindMail:
		amr = []string{"email"} // our own: RFC 8176 has none for what is no factor
		ok, err = f.checkTx(ctx, tx, q.Account, q.Kind, q.For, code)
	}
	if err != nil {
		return nil, fmt.Errorf("checking a code: %w", err)
	}
	if !ok {
		return nil, nil
	}
	if q.Kind == KindText || q.Kind == KindMail {
		err = usedTx(tx, q.Account, q.Kind, f.Now())
	}
	return amr, err
}

// appTx checks a code against every app of an account. It computes all codes of
// all apps, whatever it finds, and uses the step up: RFC 6238, 5.2.
func (f *Factors) appTx(ctx context.Context, tx *store.Tx, q Question, code secret.String) (bool, error) {
	all, err := factorsTx(tx, q.Account)
	if err != nil {
		return false, err
	}
	now, spent := f.Now(), false
	for _, r := range all {
		if r.kind != KindApp {
			continue
		}
		key, err := f.open(ctx, r, "secret", r.secret)
		if err != nil {
			return false, err
		}
		step, ok, err := match(key, typed(code), stepAt(now), window)
		if err != nil {
			return false, err
		}
		if !ok || spent {
			continue
		}
		if spent, err = stepTx(tx, r, step, now); err != nil {
			return false, err
		}
	}
	return spent, nil
}
