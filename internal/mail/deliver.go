package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"troth/internal/fault"
	"troth/internal/id"
)

// Rejected says that a message will never be taken: the recipient does not
// exist, or the text is refused (RFC 5321, 4.2.1: 5yz).
type Rejected struct{ Err error }

// Error is the answer of the other side.
func (r *Rejected) Error() string { return "the mail was refused: " + r.Err.Error() }

// Unwrap returns the answer.
func (r *Rejected) Unwrap() error { return r.Err }

// attempt tries once to deliver. An error means: try again later. last says
// that there is no later.
func (m *Mailer) attempt(ctx context.Context, tenant id.Tenant, mail id.Mail, last bool) error {
	r, found, err := m.find(ctx, tenant, mail)
	if err != nil || !found {
		return err
	}
	err = m.deliver(ctx, r)
	if err == nil {
		_, err := m.wipe(ctx, r)
		return err
	}
	if fault.KindOf(err) == fault.Unavailable {
		return err // our own keys or database: no attempt was made
	}
	var rejected *Rejected
	final := last || errors.As(err, &rejected) || fault.KindOf(err) == fault.Gone || r.attempts+1 >= maxAttempts
	if !final {
		if err := m.count(ctx, r); err != nil {
			return err
		}
		return err
	}
	return m.giveUp(ctx, r, err)
}

// giveUp wipes a message that cannot be delivered and tells of it once.
func (m *Mailer) giveUp(ctx context.Context, r row, cause error) error {
	first, err := m.wipe(ctx, r)
	if err != nil || !first {
		return err
	}
	m.o.Log.WarnContext(ctx, "a mail was given up", "mail", r.id, "kind", r.kind, "tenant", r.tenant, "attempts", r.attempts+1, "error", cause)
	if m.o.Failed != nil {
		m.o.Failed(Failure{Mail: r.id, Kind: r.kind, Account: r.account, Tenant: r.tenant, Attempts: r.attempts + 1, Err: cause})
	}
	return nil
}

// deliver opens, composes and hands over. Its error names no address.
func (m *Mailer) deliver(ctx context.Context, r row) error {
	plain, err := m.keys.Open(ctx, r.place(), r.sealed, r.refs()...)
	if err != nil {
		return err
	}
	var c content
	if err := json.Unmarshal(plain, &c); err != nil {
		return &Rejected{errors.New("its content cannot be read")} // the decoder's error may quote it
	}
	raw, err := compose(m.from, c, r.id, r.queuedAt)
	if err != nil {
		return &Rejected{err}
	}
	if c.Decoy {
		return nil
	}
	route, err := m.route(Address(c.To))
	if err != nil {
		return &Rejected{err}
	}
	ctx, stop := context.WithTimeout(ctx, seconds)
	defer stop()
	if err := route.Transport.Deliver(ctx, m.from.Address, c.To, raw); err != nil {
		return fmt.Errorf("delivering a mail: %w", err)
	}
	return nil
}

// anAddress is anything in an error that looks like an address.
var anAddress = regexp.MustCompile(`[^\s<>"'(),;:]+@[^\s<>"'(),;:]+`)

// redacted is an error without the addresses in its text.
type redacted struct {
	text string
	err  error
}

func (r *redacted) Error() string { return r.text }
func (r *redacted) Unwrap() error { return r.err }

// redact takes the addresses out of an error: servers quote them, and errors
// end in logs and in the table of jobs. The cause is kept for errors.As only
// where it is a context's.
func redact(err error) error {
	if err == nil {
		return nil
	}
	r := &redacted{text: anAddress.ReplaceAllString(err.Error(), "[address]")}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			r.err = known
		}
	}
	return r
}
