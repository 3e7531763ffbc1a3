package account

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/mail"
	"troth/internal/store"
)

// Strangers can cause mails to any address, by signing up with it and by
// resetting its password. These are the bounds within an hour, for each of the
// purposes: whatever strangers do for one, the other is free, and what they
// do from their networks leaves the holder's own free, until all together have
// sent as many as a mailbox bears.
//
// Nobody is locked out by that: a link lives at least as long as it counts, and
// no newer one ends it. Whoever gets no further mail has those of the hour, of
// which each does what is wanted (a link to sign up asks its holder for the
// password; see [Confirmation]).
const (
	fromOneNetwork = 5
	fromAll        = 10
)

// The purposes of mails that strangers can cause.
const (
	forSignUp = "sign-up"
	forReset  = "reset"

	forRecovery   = "recovery"
	forAddress    = "address"     // what is asked about a new address
	forOwnAddress = "own_address" // what one account asks
	forUnlock     = "unlock"
)

// sendSome stores a link and sends its letter, unless the bounds are reached. A
// letter to nobody counts, and goes as far as a letter goes without reaching
// somebody: the work is the same, and so is the time (the difference of one
// row in the outbox shows in some hundred tries).
func (a *Accounts) sendSome(tx *store.Tx, purpose string, network []byte, l link, letter mail.Message) error {
	life := time.Duration(l.expiresAt-l.createdAt) * time.Microsecond
	since := store.FromMicros(l.createdAt).Add(-min(life, time.Hour))
	here, all, err := asked(tx, l.index, purpose, network, since)
	if err != nil || here >= fromOneNetwork || all >= fromAll {
		return err
	}
	if err := insertAsked(tx, l, purpose, network); err != nil {
		return err
	}
	if err := insertLink(tx, l); err != nil {
		return err
	}
	return a.Post.SendTx(tx, letter)
}

// network is the blind index of where a request comes from, so that the table
// holds no address: the /24 of version 4 and the /64 of version 6, within which
// one person commonly moves. Requests from nowhere share one.
func (a *Accounts) network(ctx context.Context, by access.Subject) ([]byte, error) {
	index, err := a.Keys.Index(ctx, "", "account_mail.network", near(by.Context.IP))
	if err != nil {
		return nil, fmt.Errorf("computing the blind index of a network: %w", err)
	}
	return index, nil
}

func near(ip netip.Addr) string {
	if !ip.IsValid() {
		return "nowhere"
	}
	ip = ip.Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 24
	}
	p, _ := ip.Prefix(bits) // fails only for bits that the version has not
	return p.String()
}

// asked counts what was asked about an address since a time, from one network
// and from all.
func asked(tx *store.Tx, index []byte, purpose string, network []byte, since time.Time) (here, all int, err error) {
	err = tx.QueryRow(`SELECT COALESCE(SUM(CASE WHEN network = $1 THEN 1 ELSE 0 END), 0), COUNT(*)
		FROM account_mail WHERE email_index = $2 AND purpose = $3 AND asked_at > $4`,
		network, index, purpose, store.Micros(since)).Scan(&here, &all)
	return here, all, err
}

func insertAsked(tx *store.Tx, l link, purpose string, network []byte) error {
	_, err := tx.Exec(`INSERT INTO account_mail (digest, email_index, purpose, network, asked_at) VALUES ($1, $2, $3, $4, $5)`,
		l.digest[:], l.index, purpose, network, l.createdAt)
	return err
}

// nobodyPlace is where the address of nobody would stand.
var nobodyPlace = keys.Place{Tenant: id.Platform, Table: "account", Column: "email", Row: "nobody"}

// holder opens the address of a row, or that of nobody where there is no
// account: to find out takes as long either way.
func (a *Accounts) holder(ctx context.Context, r row) (string, error) {
	if r.account != "" {
		return a.open(ctx, r.person, "email", r.email)
	}
	b, err := a.Keys.Open(ctx, nobodyPlace, a.nobody, linksRef)
	if err != nil {
		return "", fmt.Errorf("opening the address of nobody: %w", err)
	}
	return string(b), nil
}

// openNobody seals the address that [Accounts.holder] opens for nobody.
func (a *Accounts) openNobody(ctx context.Context) (err error) {
	if a.nobody, err = a.Keys.Seal(ctx, nobodyPlace, []byte("nobody@example.com"), linksRef); err != nil {
		return fmt.Errorf("sealing the address of nobody: %w", err)
	}
	return nil
}

// decoy is a letter that reaches nobody. Of the address that was typed only the
// domain is kept, which decides the way that it goes.
func decoy(letter mail.Message, typed string) mail.Message {
	letter.To, letter.Decoy = "nobody"+typed[strings.LastIndexByte(typed, '@'):], true
	return letter
}
