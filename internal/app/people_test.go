package app

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/mail"
	"troth/internal/store"
	"troth/internal/tenant"
	"troth/internal/trust"
)

// who is a person with an account and a browser.
type who struct {
	*trust.Visitor
	h        *house
	address  string
	password string
	account  id.Account
}

// Home is the person's own space.
func (w *who) home() id.Tenant { return tenant.HomeOf(w.account) }

// passwordOf is a password that nothing else in the world looks like, so that
// it can be searched for.
func passwordOf(name string) string { return "heron under slate " + name + " Qx7" }

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// letter is the newest mail to an address since a moment.
func (h *house) letter(address string, since time.Time) trust.Mail {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), settle)
	defer cancel()
	m, err := h.bench().Mailbox.Wait(ctx, address, since)
	if err != nil {
		h.t.Fatalf("no mail to %s: %v", address, err)
	}
	return m
}

// linkIn is the path of the link in a mail.
func (h *house) linkIn(m trust.Mail) string {
	h.t.Helper()
	origin := h.in.edge.Origin()
	link := m.Link(origin + "/-/")
	if link == "" {
		h.t.Fatalf("no link in %q", m.Body)
	}
	return strings.TrimPrefix(link, origin)
}

// addressOf is an address whose mail stays in the process.
func addressOf(name string) string { return name + "@" + mail.CanaryDomain }

// want asserts a status.
func (h *house) want(p *trust.Page, err error, status ...int) *trust.Page {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, s := range status {
		if p.Status == s {
			return p
		}
	}
	h.t.Fatalf("%s answered %d, wanted %v: %s", p.Path, p.Status, status, told(p))
	return nil
}

// told is the gist of a page.
func told(p *trust.Page) string {
	body := p.Body
	if i := strings.Index(body, "<main"); i >= 0 {
		body = body[i:]
	}
	return body[:min(len(body), 1500)]
}

// person signs up through the front door, confirms and signs in.
func (h *house) person(name string) *who {
	h.t.Helper()
	ctx := h.t.Context()
	w := &who{Visitor: h.visitor(), h: h, address: addressOf(name), password: passwordOf(name)}
	since := h.clock.now()
	p, err := w.Post(ctx, "/-/signup", "email", w.address, "name", name, "password", w.password)
	h.want(p, err, http.StatusSeeOther)
	p, err = w.Post(ctx, h.linkIn(h.letter(w.address, since)))
	h.want(p, err, http.StatusSeeOther)
	w.signIn()
	w.account = h.accountOf(w.address)
	return w
}

// owner signs up by the first owner's link: the owner of the platform.
func (h *house) owner(name string) *who {
	h.t.Helper()
	ctx := h.t.Context()
	link, needed, err := h.in.accounts.FirstOwnerLink(ctx)
	if err != nil || !needed {
		h.t.Fatalf("no link for a first owner: %v", err)
	}
	w := &who{Visitor: h.visitor(), h: h, address: addressOf(name), password: passwordOf(name)}
	path := strings.TrimPrefix(link.Reveal(), h.in.edge.Origin())
	p, err := w.Post(ctx, path, "email", w.address, "name", name, "password", w.password)
	h.want(p, err, http.StatusSeeOther)
	w.account = h.accountOf(w.address)
	w.asWithPasskey()
	return w
}

// asWithPasskey makes the sessions of a person such that began with a passkey,
// without which staff may do nothing. How one begins is tested where passkeys
// are.
func (w *who) asWithPasskey() {
	w.h.t.Helper()
	err := w.h.in.db.Write(w.h.t.Context(), func(tx *store.Tx) error {
		tx.Unaudited("a test gives somebody a passkey")
		rows, err := tx.Query(`UPDATE session SET amr = 'swk user mfa' WHERE account = $1 RETURNING digest`, w.account)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var digest []byte
			if err := rows.Scan(&digest); err != nil {
				return err
			}
			tx.Changed("session", hex.EncodeToString(digest))
		}
		return rows.Err()
	})
	if err != nil {
		w.h.t.Fatal(err)
	}
}

func (w *who) signIn() {
	w.h.t.Helper()
	p, err := w.Post(w.h.t.Context(), "/-/signin", "email", w.address, "password", w.password)
	w.h.want(p, err, http.StatusSeeOther)
}

// organisation founds one; the person goes on in it.
func (w *who) organisation(name string) id.Tenant {
	w.h.t.Helper()
	p, err := w.Post(w.h.t.Context(), "/-/org/new", "name", name)
	w.h.want(p, err, http.StatusSeeOther)
	_, t := w.h.worksIn(w.account)
	return t
}

func (w *who) switchTo(t id.Tenant) {
	w.h.t.Helper()
	p, err := w.Post(w.h.t.Context(), "/-/switch", "tenant", string(t))
	w.h.want(p, err, http.StatusSeeOther)
}

// invite mails an invitation and returns the path of its link.
func (w *who) invite(address string, role access.Role) string {
	w.h.t.Helper()
	since := w.h.clock.now()
	p, err := w.Post(w.h.t.Context(), "/-/org/invite", "email", address, "role", string(role))
	w.h.want(p, err, http.StatusSeeOther)
	return w.h.linkIn(w.h.letter(address, since))
}

// join accepts an invitation and goes on in its organisation.
func (w *who) join(link string, t id.Tenant) {
	w.h.t.Helper()
	p, err := w.Post(w.h.t.Context(), link)
	w.h.want(p, err, http.StatusSeeOther)
	w.switchTo(t)
}

// accountOf looks an address up as the operator does.
func (h *house) accountOf(address string) id.Account {
	h.t.Helper()
	found, err := h.in.accounts.Find(h.t.Context(), checker(), address)
	if err != nil {
		h.t.Fatal(err)
	}
	return found.ID
}

// worksIn is where an account's newest session works; nowhere without one.
func (h *house) worksIn(a id.Account) (s id.Session, t id.Tenant) {
	h.t.Helper()
	h.read(func(tx *store.Tx) error {
		err := tx.QueryRow(`SELECT session, tenant FROM session WHERE account = $1 ORDER BY session DESC LIMIT 1`, a).Scan(&s, &t)
		if errors.Is(err, store.ErrNoRows) {
			return nil
		}
		return err
	})
	return s, t
}

func (h *house) read(fn func(tx *store.Tx) error) {
	h.t.Helper()
	if err := h.in.db.Read(context.Background(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// tamper changes rows behind the program's back.
func (h *house) tamper(query string, args ...any) int64 {
	h.t.Helper()
	var n int64
	err := h.in.db.Write(context.Background(), func(tx *store.Tx) (err error) {
		tx.Unaudited("a test changes what nobody may")
		n, err = tx.Exec(query, args...)
		return err
	})
	if err != nil {
		h.t.Fatal(fmt.Errorf("%s: %w", query, err))
	}
	return n
}
