package app

import (
	"context"

	"troth/internal/access"
	"troth/internal/account"
	"troth/internal/factor"
	factorplug "troth/internal/factor/plug"
	"troth/internal/id"
	"troth/internal/passkey"
	"troth/internal/store"
)

// Accounts ask what second factors there are, and the factors whose an account
// is. Both sides are interfaces of their own; here they meet.

// openFactors makes the second factors that are codes.
func (in *Installation) openFactors() {
	in.factors = factor.New(factor.Options{
		DB: in.db, Keys: in.keys, Log: in.audit, Post: in.mailer, Texts: in.texts, Holders: owners{in}, Changed: changes{in},
		Plans: in.tenants, Others: others{in.passkeys},
		Config: in.set.factor, Service: in.set.site.Service, Host: host(in.set.site.Origin), Origin: in.set.site.Origin, Now: in.now,
	})
}

// owners tells the factors whose an account is.
type owners struct{ in *Installation }

// HolderTx reads the holder of an active account.
func (o owners) HolderTx(ctx context.Context, tx *store.Tx, which id.Account) (factor.Holder, error) {
	a, err := o.in.accounts.HolderTx(ctx, tx, which)
	return factor.Holder{Home: a.Home, Email: a.Email}, err
}

// others are the passkeys, for which recovery codes can stand in.
type others struct{ *passkey.Passkeys }

// CountsTx reports whether an account has a passkey.
func (o others) CountsTx(ctx context.Context, tx *store.Tx, which id.Account) (bool, error) {
	_, ok, err := o.OfferTx(ctx, tx, which)
	return ok, err
}

// listPasskeys is the passkeys of the one who asks, for the page of all ways to
// sign in.
func (in *Installation) listPasskeys(ctx context.Context, by access.Subject) (all []factorplug.Passkey, enabled bool, err error) {
	list, err := in.passkeys.List(ctx, by)
	if err != nil {
		return nil, false, err
	}
	for _, k := range list {
		all = append(all, factorplug.Passkey{Label: k.Label(), AddedAt: k.CreatedAt, UsedAt: k.UsedAt})
	}
	return all, in.passkeys.Enabled(), nil
}

// codes are the factors of package factor as an account asks for them.
type codes struct{ in *Installation }

func (c codes) question(q account.Question) factor.Question {
	return factor.Question{Account: q.Account, Home: q.Home, Kind: q.Kind, For: q.For, By: q.By}
}

// OffersTx lists what an account has set up.
func (c codes) OffersTx(ctx context.Context, tx *store.Tx, which id.Account) ([]account.Offer, error) {
	some, err := c.in.factors.OffersTx(ctx, tx, which)
	if err != nil {
		return nil, err
	}
	var all []account.Offer
	for _, o := range some {
		all = append(all, account.Offer{Kind: o.Kind, Label: o.Label, Counts: o.Counts, Sends: o.Sends})
	}
	return all, nil
}

// ForgetTx removes everything that an account has set up.
func (c codes) ForgetTx(tx *store.Tx, which id.Account) error {
	return c.in.factors.ForgetTx(tx, which)
}

// BeginTx sends a code, where the kind is one that is sent.
func (c codes) BeginTx(ctx context.Context, tx *store.Tx, q account.Question) ([]byte, error) {
	return nil, c.in.factors.SendTx(ctx, tx, c.question(q))
}

// AnswerTx checks a code and uses it up.
func (c codes) AnswerTx(ctx context.Context, tx *store.Tx, q account.Question, with account.Answer) ([]string, error) {
	return c.in.factors.AnswerTx(ctx, tx, c.question(q), with.Code)
}
