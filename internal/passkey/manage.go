package passkey

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-webauthn/webauthn/protocol"
	"golang.org/x/text/unicode/norm"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/store"
	"troth/internal/text"
)

// Passkey is a passkey as its holder sees it.
type Passkey struct {
	ID        id.Passkey `json:"id"`
	Name      string     `json:"name,omitempty"` // as its holder calls it
	Kind      text.Text  `json:"-"`              // what holds it, as far as that tells
	Synced    bool       `json:"synced"`         // it can be on several devices
	CreatedAt time.Time  `json:"created_at"`
	UsedAt    time.Time  `json:"used_at,omitzero"`
	StoppedAt time.Time  `json:"stopped_at,omitzero"` // its counter went back
}

// Label is what a passkey is called.
func (k Passkey) Label() text.Text {
	if k.Name != "" {
		return text.New("%s", k.Name)
	}
	return k.Kind
}

// List is the passkeys of the one who asks, the oldest first.
func (p *Passkeys) List(ctx context.Context, by access.Subject) ([]Passkey, error) {
	if by.Kind != access.KindPerson {
		return nil, errNobody
	}
	var rows []row
	err := p.DB.Read(ctx, func(tx *store.Tx) (err error) {
		rows, err = of(tx, by.Account)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing passkeys: %w", err)
	}
	all := make([]Passkey, 0, len(rows))
	for _, r := range rows {
		k, err := p.view(ctx, r)
		if err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	return all, nil
}

func (p *Passkeys) view(ctx context.Context, r row) (Passkey, error) {
	name, err := p.open(ctx, r)
	return Passkey{
		ID: r.passkey, Name: name, Kind: r.kind(), Synced: r.eligible,
		CreatedAt: store.FromMicros(r.createdAt), UsedAt: store.FromMicros(r.usedAt), StoppedAt: store.FromMicros(r.stoppedAt),
	}, err
}

var errUnknown = fault.New(fault.NotFound, "passkey.not_found", "This passkey is not one of yours, or it was removed already.")

// Get is one passkey of the one who asks.
func (p *Passkeys) Get(ctx context.Context, by access.Subject, which id.Passkey) (Passkey, error) {
	list, err := p.List(ctx, by)
	for _, k := range list {
		if k.ID == which {
			return k, nil
		}
	}
	if err == nil {
		err = errUnknown
	}
	return Passkey{}, err
}

// Rename changes what a passkey of the one who asks is called; an empty name
// leaves it to its kind.
func (p *Passkeys) Rename(ctx context.Context, by access.Subject, which id.Passkey, name string) error {
	name, err := readName(name)
	if err != nil {
		return err
	}
	return p.change(ctx, by, which, "renaming", func(tx *store.Tx, r row) error {
		sealed, err := p.seal(ctx, r, name)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE passkey SET name = $1 WHERE passkey = $2`, sealed, r.passkey); err != nil {
			return err
		}
		_, err = p.Log.AppendTx(tx, p.event(evRenamed, by, r, nil))
		return err
	})
}

// Remove forgets a passkey of the one who asks. The holder gets a mail. The
// device keeps its half until its holder deletes it there, or the browser does
// ([Passkeys.Signals]).
func (p *Passkeys) Remove(ctx context.Context, by access.Subject, which id.Passkey) error {
	return p.change(ctx, by, which, "removing", func(tx *store.Tx, r row) error {
		if _, err := tx.Exec(`DELETE FROM passkey WHERE passkey = $1`, r.passkey); err != nil {
			return err
		}
		if _, err := p.Log.AppendTx(tx, p.event(evRemoved, by, r, map[string]string{"model": r.kind().String()})); err != nil {
			return err
		}
		return p.changedTx(ctx, tx, by, r.account, text.New("A passkey was removed"), true)
	})
}

func (p *Passkeys) change(ctx context.Context, by access.Subject, which id.Passkey, doing string, do func(tx *store.Tx, r row) error) error {
	if by.Kind != access.KindPerson {
		return errNobody
	}
	err := p.DB.Write(ctx, func(tx *store.Tx) error {
		r, err := find(tx, `passkey = $1 AND account = $2`, which, by.Account)
		if err != nil {
			return err
		}
		if r.passkey == "" {
			return errUnknown
		}
		return do(tx, r)
	})
	if err != nil {
		return fmt.Errorf("%s a passkey: %w", doing, err)
	}
	return nil
}

// OfferTx is what an account could answer with, and false if with nothing. It
// is as fresh as the transaction.
func (p *Passkeys) OfferTx(ctx context.Context, tx *store.Tx, account id.Account) (label string, ok bool, err error) {
	if !p.Enabled() {
		return "", false, nil
	}
	working, err := p.workingTx(tx, account)
	if err != nil || len(working) == 0 {
		return "", false, err
	}
	var names []string
	for _, r := range working[:min(3, len(working))] {
		k, err := p.view(ctx, r)
		if err != nil {
			return "", false, err
		}
		names = append(names, k.Label().String())
	}
	if len(working) > len(names) {
		names = append(names, "…")
	}
	return strings.Join(names, ", "), true, nil
}

// SinceTx is when the oldest passkey was added that is accepted from an account;
// zero without one. It is as fresh as the transaction.
func (p *Passkeys) SinceTx(tx *store.Tx, account id.Account) (time.Time, error) {
	working, err := p.workingTx(tx, account)
	if err != nil || len(working) == 0 {
		return time.Time{}, err
	}
	oldest := slices.MinFunc(working, func(x, y row) int { return cmp.Compare(x.createdAt, y.createdAt) })
	return store.FromMicros(oldest.createdAt), nil
}

// Signals is what a browser tells the devices about an account, so that they
// offer what exists and show what it is called (L3, 5.1.10).
type Signals struct {
	RPID        string                      `json:"rpId"`
	UserID      protocol.URLEncodedBase64   `json:"userId"`
	Name        string                      `json:"name"`
	DisplayName string                      `json:"displayName"`
	Accepted    []protocol.URLEncodedBase64 `json:"allAcceptedCredentialIds"`
}

// Signals is what there is to tell about the one who asks; the zero one when
// that person never had a passkey.
func (p *Passkeys) Signals(ctx context.Context, by access.Subject, h Holder) (json.RawMessage, error) {
	if err := p.own(by, h.Account); err != nil {
		return nil, err
	}
	s := Signals{RPID: p.rpID, Name: h.Email, DisplayName: h.Name, Accepted: []protocol.URLEncodedBase64{}}
	err := p.DB.Read(ctx, func(tx *store.Tx) error {
		handle, err := handleOf(tx, h.Account)
		if err != nil {
			return err
		}
		rows, err := of(tx, h.Account)
		s.UserID, s.Accepted = handle, s.Accepted[:0]
		for _, r := range rows {
			s.Accepted = append(s.Accepted, r.credential)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading what devices are told: %w", err)
	}
	if len(s.UserID) == 0 {
		return nil, nil
	}
	return json.Marshal(s)
}

// maxName is the length of a name in code points.
const maxName = 60

// readName reads what somebody calls a passkey. Only that person sees it.
func readName(s string) (string, error) {
	odd := func(r rune) bool { return r == utf8.RuneError || unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) }
	s = norm.NFC.String(strings.TrimSpace(s))
	switch {
	case !utf8.ValidString(s) || strings.ContainsFunc(s, odd):
		return "", fault.New(fault.Invalid, "passkey.bad_name", "The name contains a character that cannot be shown. Leave it out.").On("name")
	case utf8.RuneCountInString(s) > maxName:
		return "", fault.New(fault.Invalid, "passkey.long_name", "The name may have at most %d characters.", maxName).On("name")
	}
	return s, nil
}
