package factor

import (
	"context"
	"fmt"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/store"
	"troth/internal/text"
)

// Entry is one factor of an account, as its holder sees it.
type Entry struct {
	ID      id.Factor `json:"id"`
	Kind    string    `json:"kind"`
	Name    string    `json:"name,omitempty"` // of an app; of a number, its last digits
	Counts  bool      `json:"counts"`
	AddedAt time.Time `json:"added_at"`
	UsedAt  time.Time `json:"used_at,omitzero"`
}

// Overview is everything that an account has set up, and what it could.
type Overview struct {
	Factors  []Entry `json:"factors"`
	Recovery struct {
		Left   int       `json:"left"`
		MadeAt time.Time `json:"made_at,omitzero"`
	} `json:"recovery_codes"`
	Counts bool `json:"second_factor"` // something counts, here or elsewhere
	Texts  bool `json:"texts"`         // a telephone may be set up
	Mailed bool `json:"mailed_codes"`  // mailed codes may be switched on
}

// Of lists the factors of a kind.
func (o Overview) Of(kind string) (all []Entry) {
	for _, e := range o.Factors {
		if e.Kind == kind {
			all = append(all, e)
		}
	}
	return all
}

// Overview is what the one who asks has set up.
func (f *Factors) Overview(ctx context.Context, by access.Subject) (Overview, error) {
	if err := own(by); err != nil {
		return Overview{}, err
	}
	o := Overview{Mailed: f.Config.MailedCodes, Factors: []Entry{}}
	var rows []row
	var made int64
	err := f.DB.Read(ctx, func(tx *store.Tx) (err error) {
		if rows, err = factorsTx(tx, by.Account); err != nil {
			return err
		}
		if o.Recovery.Left, made, err = codesLeftTx(tx, by.Account); err != nil {
			return err
		}
		if o.Texts, err = f.Plans.TextsTx(ctx, tx, by.Account); err != nil {
			return err
		}
		o.Counts, err = f.countsTx(ctx, tx, by.Account)
		return err
	})
	if err != nil {
		return Overview{}, fmt.Errorf("reading the factors of an account: %w", err)
	}
	o.Texts = o.Texts && f.Texts.Ready()
	if made != 0 {
		o.Recovery.MadeAt = store.FromMicros(made)
	}
	for _, r := range rows {
		e, err := f.entry(ctx, r)
		if err != nil {
			return Overview{}, err
		}
		o.Factors = append(o.Factors, e)
	}
	return o, nil
}

// entry opens a row.
func (f *Factors) entry(ctx context.Context, r row) (Entry, error) {
	e := Entry{ID: r.id, Kind: r.kind, Counts: r.kind != KindMail, AddedAt: store.FromMicros(r.confirmedAt)}
	if r.usedAt != 0 {
		e.UsedAt = store.FromMicros(r.usedAt)
	}
	var err error
	switch r.kind {
	case KindApp:
		e.Name, err = f.name(ctx, r)
	case KindText:
		to, failed := f.number(ctx, r)
		e.Name, err = to.Masked(), failed
	}
	return e, err
}

// Get is one factor of the one who asks; fault.NotFound for any other.
func (f *Factors) Get(ctx context.Context, by access.Subject, which id.Factor) (Entry, error) {
	if err := own(by); err != nil {
		return Entry{}, err
	}
	var r row
	err := f.DB.Read(ctx, func(tx *store.Tx) (err error) {
		r, err = factorTx(tx, by.Account, which)
		return err
	})
	if err == nil && r.confirmedAt == 0 {
		err = errNone
	}
	if err != nil {
		return Entry{}, err
	}
	return f.entry(ctx, r)
}

// removed says in the holder's mail what was removed.
var removed = map[string]text.Text{
	KindApp:  text.New("An authenticator app was removed. Codes from it are not accepted any more."),
	KindText: text.New("The telephone number that got codes for signing in was removed."),
	KindMail: text.New("Codes by mail at sign-in were switched off."),
}

// Remove removes a factor. Recovery codes go with the last one that they could
// stand in for. What else ends with it is decided by package account.
func (f *Factors) Remove(ctx context.Context, by access.Subject, which id.Factor) error {
	if err := own(by); err != nil {
		return err
	}
	err := f.DB.Write(ctx, func(tx *store.Tx) error {
		r, err := factorTx(tx, by.Account, which)
		if err != nil {
			return err
		}
		if r.confirmedAt == 0 {
			return errNone
		}
		if ok, err := deleteTx(tx, r); err != nil || !ok {
			return orNone(err)
		}
		counts, err := f.countsTx(ctx, tx, by.Account)
		if err != nil {
			return err
		}
		if !counts {
			if _, err := dropCodesTx(tx, by.Account); err != nil {
				return err
			}
		}
		return f.changed(ctx, tx, by, r.home, by.Account, evRemoved, r.kind, removed[r.kind], true)
	})
	if err != nil {
		return fmt.Errorf("removing a factor: %w", err)
	}
	return nil
}

var errNoMailed = fault.New(fault.Conflict, "factor.no_mailed_codes", "Codes by mail are switched off in this service. Use a passkey or an authenticator app.")

// SwitchMailOn has a code mailed at every sign-in of the one who asks, as long
// as no factor is set up that counts. Switching it off is [Factors.Remove].
func (f *Factors) SwitchMailOn(ctx context.Context, by access.Subject) error {
	if err := own(by); err != nil {
		return err
	}
	if !f.Config.MailedCodes {
		return errNoMailed
	}
	now := f.Now()
	r := row{id: id.New[id.Factor](now), account: by.Account, kind: KindMail, createdAt: store.Micros(now), confirmedAt: store.Micros(now)}
	err := f.DB.Write(ctx, func(tx *store.Tx) error {
		all, err := factorsTx(tx, by.Account)
		if err != nil {
			return err
		}
		if count(all, KindMail) > 0 {
			tx.Unaudited("mailed codes were on already")
			return nil
		}
		h, err := f.Holders.HolderTx(ctx, tx, by.Account)
		if err != nil {
			return err
		}
		r := r
		r.home = h.Home
		if err := f.storeTx(ctx, tx, r, "", nil); err != nil {
			return err
		}
		return f.changed(ctx, tx, by, r.home, by.Account, evAdded, KindMail, text.New("Codes by mail at sign-in were switched on."), false)
	})
	if err != nil {
		return fmt.Errorf("switching mailed codes on: %w", err)
	}
	return nil
}
