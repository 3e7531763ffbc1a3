package account

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/id"
	"troth/internal/store"
	"troth/internal/text"
)

// Session is a session as its holder sees it.
type Session struct {
	ID      id.Session `json:"id"`
	Current bool       `json:"current"`
	Device  string     `json:"device"` // "Firefox on Linux", as far as the agent tells
	Spot               // at sign-in

	Last      *Spot     `json:"last,omitempty"` // where it was last used from, if that is another address
	Methods   []string  `json:"methods"`        // how it was signed in (RFC 8176); see How
	SignedIn  time.Time `json:"signed_in_at"`
	SeenAt    time.Time `json:"seen_at"` // to the minute
	ExpiresAt time.Time `json:"expires_at"`
}

// Sessions lists the sessions of the one who asks, the newest first.
func (a *Accounts) Sessions(ctx context.Context, by access.Subject) ([]Session, error) {
	if err := own(by); err != nil {
		return nil, err
	}
	return a.sessionsOf(ctx, by.Account, by.Session)
}

func (a *Accounts) sessionsOf(ctx context.Context, account id.Account, current id.Session) ([]Session, error) {
	var stored []session
	err := a.DB.Read(ctx, func(tx *store.Tx) error {
		stored = stored[:0]
		return eachSession(tx, account, func(s session) { stored = append(stored, s) })
	})
	if err != nil {
		return nil, fmt.Errorf("listing sessions: %w", err)
	}
	now := store.Micros(a.now())
	var all []Session
	for _, s := range stored {
		s.seenAt = max(s.seenAt, a.sessions.seenAt(s.digest))
		if !live(now, s.seenAt, s.idle, s.expiresAt) {
			continue
		}
		began, last, err := a.originsOf(ctx, s)
		if err != nil {
			return nil, err
		}
		v := Session{
			ID: s.session, Current: s.session == current, Device: audit.Device(began.Agent), Spot: a.spot(began),
			Methods: methodsOf(s), SignedIn: store.FromMicros(s.authAt),
			SeenAt: store.FromMicros(s.seenAt), ExpiresAt: store.FromMicros(min(s.expiresAt, s.seenAt+s.idle)),
		}
		if last.IP != began.IP {
			elsewhere := a.spot(last)
			v.Last = &elsewhere
		}
		all = append(all, v)
	}
	return all, nil
}

// originsOf opens where a session began, and where it was used last.
func (a *Accounts) originsOf(ctx context.Context, s session) (began, last origin, err error) {
	if began, err = a.openOrigin(ctx, s.at("place"), s.account, s.place); err != nil || len(s.last) == 0 {
		return began, began, err
	}
	last, err = a.openOrigin(ctx, s.at("last"), s.account, s.last)
	return began, last, err
}

func methodsOf(s session) []string { return strings.Fields(s.amr) }

// ways are the ways of signing in, in words, in the order in which they are
// told. What only says more about another one, as "mfa" does, has none.
var ways = []struct {
	amr string
	is  text.Text
}{
	{amrPassword, text.New("password")},
	{"hwk", text.New("passkey")}, {"swk", text.New("passkey")},
	{"otp", text.New("one-time code")},
	{"sms", text.New("code by text message")},
	{amrEmail, text.New("code by mail")},
	{amrRemembered, text.New("remembered browser")},
}

// How says in words how a session was signed in, from its methods (RFC 8176).
func How(methods []string) text.Text {
	var said []text.Text
	for _, w := range ways {
		if slices.Contains(methods, w.amr) && !slices.ContainsFunc(said, func(t text.Text) bool { return t.Format == w.is.Format }) {
			said = append(said, w.is)
		}
	}
	switch len(said) {
	case 0:
		return text.New("unknown")
	case 1:
		return said[0]
	}
	all := said[0]
	for _, more := range said[1:] {
		all = text.New("%s and %s", all, more)
	}
	return all
}
