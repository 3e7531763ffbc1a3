package account

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/text"
)

// Where an organisation lets in only who used a second factor, a session
// without one works at home, and what it sends there does nothing.
func TestBarredFromAnOrganisation(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		l, account := locked(h)
		const org = id.Tenant("ten_org")
		h.write(func(tx *store.Tx) error { return h.founder.giveTx(tx, org, account, access.Member) })
		by, signed := h.signIn(ada, goodWord)
		if err := h.Switch(ctx, by, org); err != nil {
			t.Fatal(err)
		}
		demand := func(d access.Demand) {
			h.founder.demand = d
			h.write(func(tx *store.Tx) error { h.Access.DemandedTx(tx, org); return nil })
		}
		demand(access.Demand{Factor: h.clock.now()})
		now := h.who(signed.Token)
		if now.Tenant == org || !now.Barred || now.Role != access.Owner {
			t.Fatalf("the session works in %s: %+v", now.Tenant, now)
		}
		_, err := h.AuthenticateFrom(ctx, signed.Token.Reveal(), netip.Addr{}, true)
		want(t, err, fault.Conflict, "account.factor_needed")
		if _, err := h.AuthenticateFrom(ctx, signed.Token.Reveal(), netip.Addr{}, true); err != nil {
			t.Errorf("the second time, at home: %v", err)
		}
		if !slices.Contains(h.events(now.Tenant), evBarred) {
			t.Error("the log does not say so")
		}
		if err := h.Switch(ctx, h.who(signed.Token), org); !errors.Is(err, access.ErrBarred) {
			t.Errorf("switching there: %v", err)
		}

		// With a factor, proven now, the same session may.
		l.give(account, "totp", "1", "2")
		again, err := h.Again(ctx, h.who(signed.Token), secret.Of(goodWord), code("totp", "1"))
		if err != nil {
			t.Fatal(err)
		}
		by = h.who(again.Token)
		if err := h.Switch(ctx, by, org); err != nil || h.who(again.Token).Tenant != org {
			t.Errorf("with a second factor: %v", err)
		}
	})
}

// Who has a second factor is told to whoever may know.
func TestFactorsOf(t *testing.T) {
	h := sqlite(t)
	l, account := locked(h, "email")
	if have, err := h.FactorsOf(ctx, []id.Account{account}); err != nil || have[account] {
		t.Errorf("a mailed code is a factor: %v, %v", have, err)
	}
	l.give(account, "totp")
	if have, err := h.FactorsOf(ctx, []id.Account{account}); err != nil || !have[account] {
		t.Errorf("an authenticator app is none: %v, %v", have, err)
	}
	if _, err := h.FactorsOf(ctx, make([]id.Account, maxProfiles+1)); err == nil {
		t.Error("so many at once are answered")
	}
}

// A removed factor ends the other sessions, a new one does not; the one that did
// it goes on.
func TestFactorChangeEndsSessions(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, here := h.person(ada, goodWord)
		_, there := h.signIn(ada, goodWord)
		change := func(removed bool) {
			h.write(func(tx *store.Tx) error {
				return h.FactorChangedTx(ctx, tx, by, by.Account, text.New("An authenticator app was set up."), removed)
			})
		}
		change(false)
		if !h.signedIn(there.Token) {
			t.Error("a new factor ended another session")
		}
		change(true)
		if h.signedIn(there.Token) || !h.signedIn(here.Token) {
			t.Error("a removed factor left another session, or ended the one that did it")
		}
		if n := len(h.post.to(ada)); n < 3 {
			t.Errorf("the holder got %d mails", n)
		}
		h.write(func(tx *store.Tx) error {
			err := h.FactorChangedTx(ctx, tx, by, "acc_none", text.New("x"), true)
			want(t, err, fault.NotFound, "account.unknown")
			return nil
		})
	})
}
