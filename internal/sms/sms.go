// Package sms sends the text messages that Troth itself writes: codes, and
// nothing else. It receives nothing.
//
// A text is the weakest thing that counts as a second factor: numbers can be
// taken over at the network operator, and messages read on the way. NIST calls
// such authenticators restricted (SP 800-63B-4, 3.1.3.3). Who may use them, and
// what they are told, is for package factor.
//
// # What it promises
//
// A text is queued by [Texts.SendTx] in the transaction of the action that
// causes it: if the action does not happen, none is sent. Number and text stand
// in the outbox sealed (package keys); their row is removed as soon as the text
// was handed over or given up, at the latest when what it says has expired:
// nobody is charged for a code that is of no use any more.
//
// Texts cost money, and there are people who live from causing them (toll
// fraud). So they go only to the countries that the operator listed, and are
// bounded three times: for one account, for one number, and for the whole
// installation (bound.go). The table of bounds holds a blind index of the
// number, never the number.
//
// A text is handed to a [Sender]: a signed webhook in the form of Standard
// Webhooks, Twilio, Vonage, Amazon SNS, or the [DevBox] of a development
// installation, which a page shows. Answers that cannot become better are final
// ([Rejected]), all others are tried again. Every exchange has a deadline and
// reads a bounded answer, and follows no redirect.
//
// No log line, no error and no job holds a number, a text, or a secret of the
// service: of its answers only the status and its own code are quoted.
package sms

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
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

// Tables are the tables of this package.
var Tables = []string{"sms_outbox", "sms_sent", "sms_dev"}

// QueueName is the name of the delivery queue.
const QueueName = "sms.send"

const (
	maxBody     = 459             // characters: three messages of 153 (3GPP TS 23.038, 6.1)
	maxAttempts = 5               // within about a minute and a half
	backoff     = 5 * time.Second // before the second attempt, doubled each time
	attempt     = 20 * time.Second
	keepFor     = time.Hour // whatever became of it
)

// Text is one message to one person, written in their language already.
type Text struct {
	Kind    string // what it is, for the log: "factor.code"
	To      Number
	Account id.Account // whose message it is: it dies with their key
	Tenant  id.Tenant  // the tenant it belongs to: it dies with its key
	Body    string
	Until   time.Time // when it is of no use any more
}

// Outgoing is a text as a [Sender] gets it.
type Outgoing struct {
	ID   id.Text // the same at every attempt
	Kind string
	To   Number
	Body string
	At   time.Time // of this attempt
}

// Sender hands one text over to whoever carries it.
type Sender interface {
	// Send returns when the text was taken. A [Rejected] says that trying again
	// is of no use; after any other error it is tried again, so that a text may
	// arrive twice. No error names the number, the text or a secret.
	Send(ctx context.Context, o Outgoing) error
	// Probe asks whether the service can be reached, sends nothing, and returns
	// what it is called.
	Probe(ctx context.Context) (name string, err error)
}

// Rejected says that a text will never be taken.
type Rejected struct{ Err error }

// Error is the answer of the other side.
func (r *Rejected) Error() string { return "the text was refused: " + r.Err.Error() }

// Unwrap returns the answer.
func (r *Rejected) Unwrap() error { return r.Err }

// Enqueuer is the part of package jobs that queues work in a transaction.
type Enqueuer interface {
	EnqueueTx(tx *store.Tx, queue, uniqueKey string, payload []byte, notBefore time.Time) error
}

// Options say how texts are sent.
type Options struct {
	Sender    Sender   // nil: there is no way to send any
	Countries []string // see [Config].Countries
	PerHour   int      // of the whole installation
	Now       func() time.Time
	Log       *slog.Logger
}

// Texts queues and sends text messages.
type Texts struct {
	db    *store.DB
	keys  *keys.Keys
	queue Enqueuer
	o     Options
}

// New makes the way out for texts.
func New(db *store.DB, k *keys.Keys, queue Enqueuer, o Options) *Texts {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Texts{db: db, keys: k, queue: queue, o: o}
}

// Ready reports whether there is a way to send texts at all.
func (t *Texts) Ready() bool { return t != nil && t.o.Sender != nil }

var errNoSender = fault.New(fault.Unavailable, "sms.no_sender", "This service cannot send text messages at the moment. Use another way.")

// content is what is sealed of a text.
type content struct {
	To   Number `json:"to"`
	Body string `json:"body"`
}

// SendTx queues a text in the caller's transaction. It is fault.Invalid on the
// field "number" when texts do not go to that country, fault.TooMany when a
// bound is reached, fault.Unavailable when there is no way to send, and
// fault.Gone when the key of the account or tenant was destroyed.
func (t *Texts) SendTx(tx *store.Tx, msg Text) error {
	if !t.Ready() {
		return errNoSender
	}
	if err := t.Allowed(msg.To); err != nil {
		return err
	}
	if n := len([]rune(msg.Body)); n == 0 || n > maxBody {
		return fmt.Errorf("a text of %d characters cannot be sent", n)
	}
	now := t.o.Now().UTC().Truncate(time.Microsecond)
	if err := t.countTx(tx, msg, now); err != nil {
		return err
	}
	r := row{id: id.New[id.Text](now), tenant: msg.Tenant, account: msg.Account, kind: msg.Kind, queuedAt: now, until: msg.Until}
	plain, err := json.Marshal(content{msg.To, msg.Body})
	if err != nil {
		return fmt.Errorf("writing the content of a text: %w", err)
	}
	if r.sealed, err = t.keys.Seal(tx.Context(), r.place(), plain, r.refs()...); err != nil {
		return fmt.Errorf("queueing a text: %w", err)
	}
	if err := insert(tx, r); err != nil {
		return fmt.Errorf("queueing a text: %w", err)
	}
	return t.queue.EnqueueTx(tx, QueueName, string(r.id), payload(r.tenant, r.id), now)
}

// Queue is the delivery queue, for package jobs.
func (t *Texts) Queue() jobs.Queue {
	return jobs.Queue{
		Name:     QueueName,
		Attempts: maxAttempts + 2, // the outbox counts itself, and gives up first
		Backoff:  backoff,
		Timeout:  attempt + 10*time.Second,
		Alarm:    15 * time.Minute,
		Run: func(ctx context.Context, b []byte) error {
			tenant, text, err := parsePayload(b)
			if err != nil {
				return err
			}
			return t.attempt(ctx, tenant, text)
		},
	}
}

func payload(tenant id.Tenant, text id.Text) []byte {
	return []byte(string(tenant) + "/" + string(text))
}

func parsePayload(b []byte) (id.Tenant, id.Text, error) {
	t, e, _ := strings.Cut(string(b), "/")
	tenant, err := id.Parse[id.Tenant](t)
	text, err2 := id.Parse[id.Text](e)
	if err := errors.Join(err, err2); err != nil {
		return "", "", fmt.Errorf("reading the work item of a text: %w", err)
	}
	return tenant, text, nil
}

// attempt tries once to hand a text over. An error means: try again later.
func (t *Texts) attempt(ctx context.Context, tenant id.Tenant, text id.Text) error {
	r, found, err := t.find(ctx, tenant, text)
	if err != nil || !found {
		return err
	}
	now := t.o.Now()
	if !r.until.IsZero() && !now.Before(r.until) {
		return t.giveUp(ctx, r, errors.New("what it says has expired"))
	}
	err = t.hand(ctx, r, now)
	if err == nil {
		_, err := t.wipe(ctx, r)
		return err
	}
	if fault.KindOf(err) == fault.Unavailable {
		return err // our own keys or database: no attempt was made
	}
	var rejected *Rejected
	if errors.As(err, &rejected) || fault.KindOf(err) == fault.Gone || r.attempts+1 >= maxAttempts {
		return t.giveUp(ctx, r, err)
	}
	if err := t.count(ctx, r); err != nil {
		return err
	}
	return err
}

// hand opens a text and hands it over.
func (t *Texts) hand(ctx context.Context, r row, now time.Time) error {
	plain, err := t.keys.Open(ctx, r.place(), r.sealed, r.refs()...)
	if err != nil {
		return err
	}
	var c content
	if err := json.Unmarshal(plain, &c); err != nil {
		return &Rejected{errors.New("its content cannot be read")} // the decoder's error may quote it
	}
	if !t.Ready() {
		return &Rejected{errors.New("there is no way to send texts any more")}
	}
	ctx, stop := context.WithTimeout(ctx, attempt)
	defer stop()
	return t.o.Sender.Send(ctx, Outgoing{ID: r.id, Kind: r.kind, To: c.To, Body: c.Body, At: now})
}

// giveUp wipes a text that cannot be sent and says so once.
func (t *Texts) giveUp(ctx context.Context, r row, cause error) error {
	first, err := t.wipe(ctx, r)
	if err != nil || !first {
		return err
	}
	t.o.Log.WarnContext(ctx, "a text message was given up", "text", r.id, "kind", r.kind, "attempts", r.attempts+1, "error", cause)
	return nil
}

// Test hands a text that says so over at once, past the queue and its bounds:
// for the operator who wants to know whether it works.
func (t *Texts) Test(ctx context.Context, to Number) error {
	if !t.Ready() {
		return errNoSender
	}
	if err := t.Allowed(to); err != nil {
		return err
	}
	now := t.o.Now()
	ctx, stop := context.WithTimeout(ctx, attempt)
	defer stop()
	return t.o.Sender.Send(ctx, Outgoing{
		ID: id.New[id.Text](now), Kind: "sms.test", To: to, At: now, Body: "This message was sent to see whether text messages work. They do.",
	})
}

// Probe asks whether the service can be reached.
func (t *Texts) Probe(ctx context.Context) (string, error) {
	if !t.Ready() {
		return "", errNoSender
	}
	return t.o.Sender.Probe(ctx)
}
