package account

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
)

// Offer is one way in which an account can prove a second factor.
type Offer struct {
	Kind      string // "passkey", "totp", "recovery", "sms", "email"; unique among all Factors
	Label     string // what tells its holder which one is meant: "•••• 17", "Laptop"
	Counts    bool   // is a factor (SP 800-63B-4, 2.2.1); a mailed code never is (3.1.3.1)
	Resistant bool   // to phishing (3.2.5): a passkey
	Sends     bool   // the code has to be sent first, by Factors.BeginTx

	Since time.Time // of a passkey: when the oldest was added; zero is long ago
}

// Question is what a second factor is asked: for whom, and for what. An answer
// to one question is none to another.
type Question struct {
	Account id.Account
	Home    id.Tenant // the personal tenant, for sealing
	Kind    string
	For     string         // names the pending sign-in, or the session that is asked again
	By      access.Subject // who answers, and from where
}

// Factors is what second factors an account has set up. Packages of factors
// fill it.
type Factors interface {
	// OffersTx lists what an account has set up, strongest first; none is no
	// error. It is read in the transaction and as fresh as it.
	OffersTx(ctx context.Context, tx *store.Tx, account id.Account) ([]Offer, error)
	// BeginTx prepares an answer in the transaction: it sends a code, or makes a
	// challenge, which it returns. Kinds that need nothing do nothing. A fault
	// says why a code is not sent, as for too many.
	BeginTx(ctx context.Context, tx *store.Tx, q Question) (challenge []byte, err error)
	// AnswerTx checks an answer and uses it up, in the transaction in which the
	// next step is taken: a code is accepted once. It returns how that is called
	// (RFC 8176, without mfa: "otp", "sms", "hwk", "swk", "user", "email"), and
	// nothing for a wrong answer, which is no error. What it wrote about a wrong
	// one is kept.
	AnswerTx(ctx context.Context, tx *store.Tx, q Question, with Answer) (amr []string, err error)
}

// Answer is what somebody answers to a question.
type Answer struct {
	Kind     string        // of the offer
	Code     secret.String // what was typed
	Passkey  []byte        // or what the authenticator signed, as JSON
	Remember bool          // do not ask for a second factor in this browser for a while
}

// The ways in which somebody signed in (RFC 8176, and two of our own).
const (
	amrPassword   = "pwd"
	amrUser       = "user"       // the authenticator verified who holds it
	amrMulti      = "mfa"        // a counting factor was used besides
	amrEmail      = "email"      // our own: a mailed code, which is no second factor
	amrRemembered = "remembered" // our own: a counting factor was used in this browser before
)

// resistantAMR are proofs that a phishing site cannot pass on.
var resistantAMR = []string{"hwk", "swk"}

// usedResistant reports whether a session began with a proof that a phishing
// site cannot pass on.
func usedResistant(amr []string) bool {
	return slices.ContainsFunc(resistantAMR, func(v string) bool { return slices.Contains(amr, v) })
}

// plus adds values to a list by spaces, each once.
func plus(amr string, more ...string) string {
	all := strings.Fields(amr)
	for _, v := range more {
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return strings.Join(all, " ")
}

// offersTx is what an account can prove a second factor with. Where there is
// one that counts, the others are not offered: they would be a way around it.
func (a *Accounts) offersTx(ctx context.Context, tx *store.Tx, account id.Account) (offers []Offer, counts bool, err error) {
	for _, f := range a.Factors {
		some, err := f.OffersTx(ctx, tx, account)
		if err != nil {
			return nil, false, fmt.Errorf("reading the second factors of an account: %w", err)
		}
		offers = append(offers, some...)
	}
	counts = slices.ContainsFunc(offers, func(o Offer) bool { return o.Counts })
	if counts {
		offers = slices.DeleteFunc(offers, func(o Offer) bool { return !o.Counts })
	}
	slices.SortStableFunc(offers, func(x, y Offer) int { return strength(y) - strength(x) })
	return offers, counts, nil
}

func strength(o Offer) int {
	switch {
	case o.Resistant:
		return 2
	case o.Counts:
		return 1
	}
	return 0
}

// offering finds an offer and who makes it.
func (a *Accounts) offering(ctx context.Context, tx *store.Tx, account id.Account, kind string) (Offer, Factors, error) {
	offers, _, err := a.offersTx(ctx, tx, account)
	if err != nil {
		return Offer{}, nil, err
	}
	i := slices.IndexFunc(offers, func(o Offer) bool { return o.Kind == kind })
	if i < 0 {
		return Offer{}, nil, errNoOffer
	}
	for _, f := range a.Factors {
		some, err := f.OffersTx(ctx, tx, account)
		if err != nil {
			return Offer{}, nil, fmt.Errorf("reading the second factors of an account: %w", err)
		}
		if slices.ContainsFunc(some, func(o Offer) bool { return o.Kind == kind }) {
			return offers[i], f, nil
		}
	}
	return Offer{}, nil, errNoOffer
}

// answerTx checks an answer, and returns what it adds to the ways of signing
// in: nothing for a wrong one.
func (a *Accounts) answerTx(ctx context.Context, tx *store.Tx, q Question, with Answer) ([]string, error) {
	offer, f, err := a.offering(ctx, tx, q.Account, q.Kind)
	if err != nil {
		return nil, err
	}
	amr, err := f.AnswerTx(ctx, tx, q, with)
	if err != nil {
		return nil, fmt.Errorf("checking a second factor: %w", err)
	}
	if len(amr) > 0 && offer.Counts {
		amr = append(amr, amrMulti)
	}
	return amr, nil
}

// FactorsOf tells which of at most [maxProfiles] accounts have set up a second
// factor that counts.
func (a *Accounts) FactorsOf(ctx context.Context, accounts []id.Account) (map[id.Account]bool, error) {
	if len(accounts) > maxProfiles {
		return nil, fmt.Errorf("reading the factors of %d accounts at once; %d is the limit", len(accounts), maxProfiles)
	}
	have := make(map[id.Account]bool, len(accounts))
	err := a.DB.Read(ctx, func(tx *store.Tx) error {
		for _, account := range accounts {
			_, counts, err := a.offersTx(ctx, tx, account)
			if err != nil {
				return err
			}
			have[account] = counts
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading who has a second factor: %w", err)
	}
	return have, nil
}
