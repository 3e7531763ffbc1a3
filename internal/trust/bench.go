package trust

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/netip"
	"time"
)

// Bench is what a check works with. It is filled in once the front door stands.
type Bench struct {
	// Client makes a client without cookies whose requests come from an address
	// in 192.0.2.0/24 (RFC 5737), so that the limits it trips hurt nobody. It
	// dials the same server, TLS configuration and handlers as everyone, through
	// an in-memory listener. It follows no redirect. The zero address takes one
	// at random.
	Client func(from netip.Addr) *http.Client
	Origin string // of the installation, without a slash at the end: "https://localhost:8443"

	// Mailbox receives what is sent to @canary.invalid.
	Mailbox Mailbox

	// Admit makes a link with which one person may sign up, as the operator on
	// the host does, and returns its path. Nil where strangers may sign up.
	Admit func(ctx context.Context) (path string, err error)

	// Listen is the address of the real listener, and Roots what its
	// certificate is checked with; for checks of the wire alone (kind R, D2, F4).
	Listen string
	Roots  *x509.CertPool

	Now func() time.Time

	keep keeper // of the canaries, filled in by Exercise
}

// Mailbox keeps, in the process, the mail to @canary.invalid.
type Mailbox interface {
	// Wait returns the newest message to an address that was delivered at or
	// after a time, and waits for one until ctx ends.
	Wait(ctx context.Context, to string, after time.Time) (Mail, error)
}

// Mail is a message to the canary.
type Mail struct {
	To      string
	Subject string
	Body    string // text/plain, decoded
	At      time.Time
}
