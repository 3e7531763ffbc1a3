package account

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/text"
)

// credentialChanges is every way in which what an account proves itself with is
// changed, or who may use it, by the event that the log has of it.
var credentialChanges = map[string]func(h *house, by access.Subject) error{
	evPassword: func(h *house, by access.Subject) error {
		_, err := h.ChangePassword(ctx, by, secret.Of(goodWord), secret.Of(newWord))
		return err
	},
	evReset: func(h *house, _ access.Subject) error {
		if err := h.AskReset(ctx, stranger(), adaNew); err != nil {
			return err
		}
		return h.Reset(ctx, stranger(), h.link(adaNew, PathReset), secret.Of(newWord))
	},
	evRenewed: func(h *house, by access.Subject) error {
		h.write(func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE account SET password_short = TRUE WHERE account = $1`, by.Account)
			return err
		})
		o, err := h.SignIn(ctx, stranger(), attempt(adaNew, goodWord))
		if err != nil {
			return err
		}
		_, err = h.Renew(ctx, stranger(), o.Pending, secret.Of(newWord))
		return err
	},
	evAddressChanged: func(h *house, by access.Subject) error {
		h.clock.add(2 * time.Hour)
		old, fresh := h.asks(by, adaNew, "third@new.example", false)
		h.agree(old)
		h.agree(fresh)
		return nil
	},
	evAddressUndone: func(h *house, _ access.Subject) error {
		_, token := h.newest(ada, "account.address_replaced")
		_, err := h.UndoAddress(ctx, stranger(), token)
		return err
	},
	evRecoveryAsked: func(h *house, by access.Subject) error {
		h.Factors[0].(*pocket).has[by.Account] = true
		h.begins(adaNew)
		return nil
	},
	evRecoveryStopped: func(h *house, by access.Subject) error {
		h.Factors[0].(*pocket).has[by.Account] = true
		h.begins(adaNew)
		return h.StopOwnRecovery(ctx, by)
	},
	evRecovered: func(h *house, by access.Subject) error {
		h.Factors[0].(*pocket).has[by.Account] = true
		h.begins(adaNew)
		h.advance(73 * time.Hour)
		_, token := h.newest(adaNew, "account.recovery_ready")
		return h.FinishRecovery(ctx, stranger(), token, secret.Of(newWord))
	},
	evRecovery: func(h *house, by access.Subject) error { _, err := h.Recover(ctx, host(), by.Account); return err },
	evRescue:   func(h *house, by access.Subject) error { _, err := h.Rescue(ctx, host(), by.Account); return err },
	evRecoveryApproved: func(h *house, _ access.Subject) error {
		one, two := h.staff("one@staff.example"), h.staff("two@staff.example")
		which, err := h.OpenRecovery(ctx, one, adaNew, "called us")
		if err == nil {
			_, err = h.ApproveRecovery(ctx, two, which)
		}
		return err
	},
	evDeactivated: func(h *house, by access.Subject) error { return h.Deactivate(ctx, by) },
	evReactivated: func(h *house, by access.Subject) error {
		if err := h.Deactivate(ctx, by); err != nil {
			return err
		}
		o, err := h.SignIn(ctx, stranger(), attempt(adaNew, goodWord))
		if err == nil {
			_, err = h.Return(ctx, stranger(), o.Pending)
		}
		return err
	},
	evSuspended: func(h *house, by access.Subject) error {
		_, err := h.Suspend(ctx, host(), by.Account, "a test", false)
		return err
	},
	evUnsuspended: func(h *house, by access.Subject) error {
		if _, err := h.Suspend(ctx, host(), by.Account, "a test", false); err != nil {
			return err
		}
		return h.Reactivate(ctx, host(), by.Account, "a test")
	},
	evStaffAdded: func(h *house, by access.Subject) error {
		_, err := h.SetStaff(ctx, host(), by.Account, StaffSupport)
		return err
	},
	evStaffRemoved: func(h *house, by access.Subject) error {
		if _, err := h.SetStaff(ctx, host(), by.Account, StaffSupport); err != nil {
			return err
		}
		_, err := h.SetStaff(ctx, host(), by.Account, StaffNone)
		return err
	},
	"a second factor": func(h *house, by access.Subject) error { // every kind comes through here
		return h.DB.Write(ctx, func(tx *store.Tx) error {
			if err := h.FactorChangedTx(ctx, tx, by, by.Account, text.New("A second factor was removed."), true); err != nil {
				return err
			}
			_, err := h.Log.AppendTx(tx, audit.Event{Type: evAgain, Tenant: by.Tenant, Actor: by.Actor()})
			return err
		})
	},
}

// Every change of credentials is told to the present address and to the one
// that the account had before, which a thief may have replaced.
func TestEveryChangeIsTold(t *testing.T) {
	for name, change := range credentialChanges {
		t.Run(name, func(t *testing.T) {
			h := sqlite(t, func(o *Options) { o.Factors = []Factors{newPocket()} })
			by, _ := h.person(ada, goodWord)
			old, fresh := h.asks(by, ada, adaNew, false)
			h.agree(old)
			if _, err := h.AgreeAddress(ctx, by, fresh); err != nil {
				t.Fatal(err)
			}
			before := map[string]int{ada: len(h.kinds(ada)), adaNew: len(h.kinds(adaNew))}
			if err := change(h, by); err != nil {
				t.Fatal(err)
			}
			h.settle()
			if names := h.events(by.Tenant); name[0] == 'a' && regexp.MustCompile(`^account\.`).MatchString(name) && !slices.Contains(names, name) {
				t.Errorf("the log does not say so: %v", names)
			}
			for address, had := range before {
				if len(h.kinds(address)) <= had {
					t.Errorf("%s is not told", address)
				}
			}
		})
	}
}

// sensitive is what the names of events have in them that change credentials.
var sensitive = regexp.MustCompile(`_(changed|undone|reset|renewed|issued|removed|added|approved)$|\.(recovered|deactivated|reactivated|suspended|unsuspended|destroyed)$|password`)

// notCredentials are the events that sound so and change none.
var notCredentials = []string{
	evPasswordFail,             // nothing was changed
	evAdmission,                // there is no account yet
	evRecoveryUnknown,          // nor here
	"account.password_exposed", // nothing is changed until the holder, who is told, does it
	evDestroyed,                // there is no address left to tell
	"account.reset_asked",      // told by the link itself
}

// A new event that changes credentials cannot be forgotten: it is in the table
// above, and so it is tested that it is told.
func TestEveryChangeIsInTheTable(t *testing.T) {
	for _, e := range Events {
		_, known := credentialChanges[e.Name]
		if sensitive.MatchString(e.Name) && !known && !slices.Contains(notCredentials, e.Name) {
			t.Errorf("%s changes credentials by its name: add it to credentialChanges, or say in notCredentials why it does not", e.Name)
		}
	}
}
