// Package mail sends the messages that Troth itself writes: confirmations,
// resets, invitations, notices. It is no mailing list and receives nothing.
//
// A message is queued by [Mailer.SendTx] in the transaction of the action that
// causes it: if the action does not happen, no mail is sent; if it does, the
// mail is not lost. Address, subject and body stand in the outbox sealed (see
// package keys), and their row is removed as soon as the message was delivered,
// or was given up. A key that was destroyed meanwhile takes the message along.
//
// Delivery is work for package jobs: ten attempts over about four hours, after
// which the message is given up and [Options.Failed] is called: the links in it
// live for a day at most, so the four to five days of RFC 5321, 4.5.4.1 would
// bring useless mail. A refusal of the recipient or of the message (5yz, RFC
// 5321, 4.2.1) is final at once. A crash between delivery and its note delivers
// twice; both copies carry the same Message-ID (RFC 5322, 3.6.4).
//
// A message is plain text in UTF-8, and goes by the recipient's domain to a
// [Transport]: [SMTP], the [DevMailbox] of a development installation, or the
// [Canary] mailbox in this process. Nothing addressed to the reserved domain
// ".invalid" (RFC 2606, 2) ever leaves the process.
//
// No log line, no error and no job contains an address or a text of a message.
package mail

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"strings"
	"sync"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/jobs"
	"troth/internal/keys"
	"troth/internal/store"
)

// Migrations are the tables of this package.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// QueueName is the name of the delivery queue.
const QueueName = "mail.deliver"

// The limits of a message.
const (
	maxSubject  = 200      // characters; RFC 5322, 2.1.1 wants lines of at most 998 octets
	maxBody     = 64 << 10 // bytes
	maxAttempts = 10
	backoff     = 30 * time.Second // doubled ten times: about four hours
	keepFor     = 3 * 24 * time.Hour
	seconds     = 60 * time.Second // one attempt
)

// Message is one mail to one person. Subject and Body are written in the
// recipient's language already.
type Message struct {
	Kind    string     // what it is, for the log: "account.confirm"
	To      string     // an address as ParseAddress takes it
	Account id.Account // whose message it is, if anybody's: it dies with their key
	Tenant  id.Tenant  // the tenant it belongs to, if one: it dies with its key
	Subject string
	Body    string // lines end in \n

	// Decoy goes all the way of a message, and is handed to no transport: where
	// it shall not be told by the time of an answer whether a mail was sent.
	Decoy bool
}

// Transport delivers one message. It returns a [Rejected] when trying again is
// of no use.
type Transport interface {
	Deliver(ctx context.Context, from, to string, raw []byte) error
}

// Route sends mail for a domain, and those below it, through a transport.
type Route struct {
	Domain    string // "canary.invalid"; "" is every other domain
	Transport Transport
	// Here delivers in this process right after the commit, not through the
	// queue: another node's memory is of no use.
	Here bool
}

// Failure tells of a message that was given up. It names no address.
type Failure struct {
	Mail     id.Mail
	Kind     string
	Account  id.Account
	Tenant   id.Tenant
	Attempts int
	Err      error
}

// Enqueuer is the part of package jobs that queues work in a transaction.
type Enqueuer interface {
	EnqueueTx(tx *store.Tx, queue, uniqueKey string, payload []byte, notBefore time.Time) error
}

// Options says how mail is sent.
type Options struct {
	From   string // "Example <no-reply@example.org>"
	Routes []Route
	Failed func(Failure) // called once for a message that was given up; may be nil
	Now    func() time.Time
	Log    *slog.Logger
}

// Mailer queues and delivers messages.
type Mailer struct {
	db    *store.DB
	keys  *keys.Keys
	queue Enqueuer
	from  netmail.Address
	o     Options
	here  sync.WaitGroup
}

// New makes a mailer. The sender must be an address, and the routes must name
// each domain once.
func New(db *store.DB, k *keys.Keys, queue Enqueuer, o Options) (*Mailer, error) {
	from, err := netmail.ParseAddress(o.From)
	if err != nil || hasControl(o.From) {
		return nil, fault.New(fault.Invalid, "mail.from", "The sender %q is no address. Write it as Name <mail@example.org>.", o.From).On("mail.from")
	}
	address, err := ParseAddress(from.Address)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "mail.from", "The sender %q is no address. Write it as Name <mail@example.org>.", o.From).On("mail.from")
	}
	seen := map[string]bool{}
	for _, r := range o.Routes {
		if seen[r.Domain] || r.Transport == nil {
			return nil, fmt.Errorf("the mail route for %q stands twice or leads nowhere", r.Domain)
		}
		seen[r.Domain] = true
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Mailer{db: db, keys: k, queue: queue, from: netmail.Address{Name: from.Name, Address: string(address)}, o: o}, nil
}

// route picks the route of the longest matching domain.
func (m *Mailer) route(to Address) (Route, error) {
	var best Route
	found := false
	for _, r := range m.o.Routes {
		if to.in(r.Domain) && (!found || len(r.Domain) > len(best.Domain)) {
			best, found = r, true
		}
	}
	if !found || best.Domain == "" && to.in("invalid") {
		return Route{}, fault.New(fault.Invalid, "mail.no_route", "Mail cannot be sent to this domain from here.").On("email")
	}
	return best, nil
}

// content is what is sealed of a message.
type content struct {
	To      string `json:"to"`
	Subject string `json:"subject"`
	Body    string `json:"body"`
	Decoy   bool   `json:"decoy,omitempty"`
}

// SendTx queues a message in the caller's transaction. It is fault.Invalid
// when address, subject or body cannot be sent, fault.Gone when the key of the
// account or tenant was destroyed, fault.Unavailable when keys are out of reach.
func (m *Mailer) SendTx(tx *store.Tx, msg Message) error {
	to, err := ParseAddress(msg.To)
	if err != nil {
		return err
	}
	if err := checkText(msg.Subject, msg.Body); err != nil {
		return err
	}
	route, err := m.route(to)
	if err != nil && !msg.Decoy {
		return err
	}
	now := m.o.Now()
	r := row{id: id.New[id.Mail](now), tenant: msg.Tenant, account: msg.Account, kind: msg.Kind, queuedAt: now.UTC().Truncate(time.Microsecond)}
	if r.tenant == "" {
		r.tenant = id.Platform
	}
	plain, err := json.Marshal(content{string(to), msg.Subject, msg.Body, msg.Decoy})
	if err != nil {
		return fmt.Errorf("writing the content of a mail: %w", err)
	}
	if err := m.seal(tx.Context(), &r, plain); err != nil {
		return fmt.Errorf("queueing a mail: %w", err)
	}
	if err := insert(tx, r); err != nil {
		return fmt.Errorf("queueing a mail: %w", err)
	}
	if route.Here {
		tx.AfterCommit(func() { m.deliverHere(r.tenant, r.id) })
		return nil
	}
	return m.queue.EnqueueTx(tx, QueueName, string(r.id), payload(r.tenant, r.id), now)
}

// deliverHere delivers in this process, without the queue.
func (m *Mailer) deliverHere(tenant id.Tenant, mail id.Mail) {
	m.here.Go(func() {
		// The caller's request may be over: the message outlives it.
		ctx, stop := context.WithTimeout(context.Background(), seconds)
		defer stop()
		if err := m.attempt(ctx, tenant, mail, true); err != nil {
			m.o.Log.Error("a mail was not delivered", "mail", mail, "error", err)
		}
	})
}

// Wait waits for the deliveries under way in this process.
func (m *Mailer) Wait() { m.here.Wait() }

// Queue is the delivery queue, for package jobs.
func (m *Mailer) Queue() jobs.Queue {
	return jobs.Queue{
		Name:     QueueName,
		Attempts: maxAttempts + 2, // the outbox counts itself, and gives up first
		Backoff:  backoff,
		Timeout:  seconds + 15*time.Second,
		Alarm:    2 * time.Hour,
		Run: func(ctx context.Context, b []byte) error {
			tenant, mail, err := parsePayload(b)
			if err != nil {
				return err
			}
			return m.attempt(ctx, tenant, mail, false)
		},
	}
}

func payload(tenant id.Tenant, mail id.Mail) []byte {
	return []byte(string(tenant) + "/" + string(mail))
}

func parsePayload(b []byte) (id.Tenant, id.Mail, error) {
	t, e, _ := strings.Cut(string(b), "/")
	tenant, err := id.Parse[id.Tenant](t)
	mail, err2 := id.Parse[id.Mail](e)
	if err := errors.Join(err, err2); err != nil {
		return "", "", fmt.Errorf("reading the work item of a mail: %w", err)
	}
	return tenant, mail, nil
}

// SweepTx removes what was not delivered for three days: the queue gave up
// without telling, or an installation was restored. For the retention rule.
func SweepTx(tx *store.Tx, now time.Time) (int64, error) {
	return tx.Exec(`DELETE FROM mail_outbox WHERE (tenant, id) IN
		(SELECT tenant, id FROM mail_outbox WHERE queued_at < $1 ORDER BY queued_at LIMIT 1000)`, store.Micros(now.Add(-keepFor)))
}

// Test composes a message that says so and hands it over at once, past the
// queue: for the operator who wants to know whether mail works. Its error is
// the transport's, without addresses.
func (m *Mailer) Test(ctx context.Context, to string) error {
	address, err := ParseAddress(to)
	if err != nil {
		return err
	}
	route, err := m.route(address)
	if err != nil {
		return err
	}
	now := m.o.Now()
	raw, err := compose(m.from, content{string(address), "A test message", "This message was sent to see whether mail works. It does.\n", false}, id.New[id.Mail](now), now)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, seconds)
	defer stop()
	return route.Transport.Deliver(ctx, m.from.Address, string(address), raw)
}
