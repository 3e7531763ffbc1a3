package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// transport is a transport in memory that answers what a test tells it to.
type transport struct {
	mu   sync.Mutex
	got  []string // "from to"
	raws [][]byte
	fail error
}

func (f *transport) Deliver(_ context.Context, from, to string, raw []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	f.got = append(f.got, from+" "+to)
	f.raws = append(f.raws, raw)
	return nil
}

// pending is a queue that remembers, for tests that deliver by hand.
type pending struct{ payloads map[string][]byte }

func (p *pending) EnqueueTx(tx *store.Tx, queue, key string, payload []byte, _ time.Time) error {
	if queue != QueueName {
		return fmt.Errorf("unknown queue %q", queue)
	}
	tx.AfterCommit(func() { p.payloads[key] = payload })
	return nil
}

// office is a mailer with everything around it.
type office struct {
	*Mailer
	db       *store.DB
	k        *keys.Keys
	out      *transport
	canary   *Canary
	queue    *pending
	failures []Failure
	log      bytes.Buffer
	now      time.Time
}

func newOffice(t testing.TB, db *store.DB) *office {
	t.Helper()
	dir := t.TempDir()
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := store.OpenRing(t.Context(), "sqlite:"+filepath.Join(dir, "keyring.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	o := &office{db: db, out: &transport{}, queue: &pending{map[string][]byte{}}, now: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)}
	now := func() time.Time { return o.now }
	o.k, o.canary = keys.New(root, ring, now), NewCanary(now)
	o.Mailer, err = New(db, o.k, o.queue, Options{
		From:   `Exämple <no-reply@example.org>`,
		Routes: []Route{{Transport: o.out}, o.canary.Route()},
		Failed: func(f Failure) { o.failures = append(o.failures, f) },
		Now:    now, Log: slog.New(slog.NewTextHandler(&o.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *office) send(t testing.TB, m Message) error {
	t.Helper()
	return o.db.Write(t.Context(), func(tx *store.Tx) error {
		tx.Unaudited("test")
		return o.SendTx(tx, m)
	})
}

// work runs the queue once and returns the errors of the runs.
func (o *office) work(t testing.TB) (failed []error) {
	t.Helper()
	for key, payload := range o.queue.payloads {
		if err := o.Queue().Run(t.Context(), payload); err != nil {
			failed = append(failed, err)
		} else {
			delete(o.queue.payloads, key)
		}
	}
	return failed
}

func (o *office) rows(t testing.TB) (n int) {
	t.Helper()
	err := o.db.Read(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow("SELECT count(*) FROM mail_outbox").Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (o *office) person(t testing.TB) (id.Tenant, id.Account) {
	t.Helper()
	tenant, account := id.New[id.Tenant](o.now), id.New[id.Account](o.now)
	for _, ref := range []keys.Ref{keys.TenantRef(tenant), keys.SubjectRef(account)} {
		if err := o.k.Create(t.Context(), ref, 32); err != nil {
			t.Fatal(err)
		}
	}
	return tenant, account
}

var hello = Message{Kind: "account.confirm", To: "Anna.Ä@Example.org", Subject: "Grüße, 你好", Body: "Hello,\n\nopen https://localhost:8443/-/confirm/" + strings.Repeat("x", 120) + "\n.\n=20 ü\n"}

func TestMailIsQueuedSealedDeliveredAndWiped(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOffice(t, db)
		tenant, account := o.person(t)
		for name, m := range map[string]Message{
			"nobody's": {}, "a person's": {Account: account}, "a tenant's": {Tenant: tenant}, "both": {Account: account, Tenant: tenant},
		} {
			t.Run(name, func(t *testing.T) {
				o.out.got, o.out.raws = nil, nil
				m.Kind, m.To, m.Subject, m.Body = hello.Kind, hello.To, hello.Subject, hello.Body
				if err := o.send(t, m); err != nil {
					t.Fatal(err)
				}
				var sealed []byte
				err := db.Read(t.Context(), func(tx *store.Tx) error {
					return tx.QueryRow("SELECT sealed FROM mail_outbox").Scan(&sealed)
				})
				if err != nil || bytes.Contains(sealed, []byte("xample")) || bytes.Contains(sealed, []byte("Hello")) {
					t.Errorf("the outbox holds %q, %v", sealed, err)
				}
				if failed := o.work(t); failed != nil {
					t.Fatal(failed)
				}
				if fmt.Sprint(o.out.got) != "[no-reply@example.org Anna.Ä@example.org]" || o.rows(t) != 0 {
					t.Errorf("delivered %v, %d rows left", o.out.got, o.rows(t))
				}
				got, err := read(o.out.raws[0])
				if err != nil || got.Subject != hello.Subject || got.Body != hello.Body {
					t.Errorf("arrived as %+v, %v", got, err)
				}
			})
		}
	}, Migrations)
}

func TestMailIsNotSentWhenTheActionFails(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t, Migrations))
	broken := errors.New("the action failed")
	for _, to := range []string{"a@example.org", "a@canary.invalid"} {
		err := o.db.Write(t.Context(), func(tx *store.Tx) error {
			tx.Unaudited("test")
			if err := o.SendTx(tx, Message{To: to, Subject: "x", Body: "x"}); err != nil {
				return err
			}
			return broken
		})
		if !errors.Is(err, broken) {
			t.Fatal(err)
		}
	}
	o.Wait()
	if o.rows(t) != 0 || len(o.queue.payloads) != 0 || len(o.canary.held) != 0 {
		t.Error("a mail was queued by an action that failed")
	}
}

// The headers that every mail has, as they go over the line.
func TestHeaders(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t, Migrations))
	if err := o.send(t, hello); err != nil {
		t.Fatal(err)
	}
	o.work(t)
	raw := string(o.out.raws[0])
	for _, line := range strings.Split(raw, "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n") {
			t.Errorf("the line %q breaks RFC 5322, 2.1.1", line)
		}
		for i := range len(line) {
			if line[i] >= 0x80 && !strings.HasPrefix(line, "To:") { // RFC 6532 allows it there
				t.Errorf("the line %q is not ASCII", line)
				break
			}
		}
	}
	msg, err := netmail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]string{
		"Date": "Sat, 21 Nov 2026 09:00:00 +0000", "Auto-Submitted": "auto-generated",
		"Content-Transfer-Encoding": "quoted-printable", "Content-Type": "text/plain; charset=UTF-8", "Mime-Version": "1.0",
	} {
		if got := msg.Header.Get(header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
	if id := msg.Header.Get("Message-ID"); !strings.HasPrefix(id, "<eml_") || !strings.HasSuffix(id, "@example.org>") {
		t.Errorf("Message-ID is %q", id)
	}
	for _, leak := range []string{"User-Agent", "X-Mailer", "Received"} {
		if msg.Header.Get(leak) != "" {
			t.Errorf("%s says too much", leak)
		}
	}
}

func TestHeaderInjectionIsRefused(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t, Migrations))
	for _, m := range []Message{
		{To: "a@example.org\r\nBcc: b@example.org", Subject: "x"},
		{To: "a@example.org, b@example.org", Subject: "x"},
		{To: "a@example.org>\r\nRCPT TO:<b@example.org", Subject: "x"},
		{To: "a@example.org", Subject: "x\r\nBcc: b@example.org"},
		{To: "a@example.org", Subject: "x\nBcc: b@example.org"},
		{To: "a@example.org", Subject: "x\u2028y"},
		{To: "a@example.org", Subject: "x\u202egro.elpmaxe"},
		{To: "a@example.org", Subject: ""},
		{To: "a@example.org", Subject: strings.Repeat("x", maxSubject+1)},
		{To: "a@example.org", Subject: "x", Body: "x\x00y"},
		{To: "a@example.org", Subject: "x", Body: "x\r\n.\r\nMAIL FROM"},
		{To: "a@example.org", Subject: "x", Body: "\xff"},
	} {
		if err := o.send(t, m); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: %v", m, err)
		}
	}
	if err := o.send(t, Message{To: "a@example.org", Subject: "x", Body: strings.Repeat("x", maxBody+1)}); fault.KindOf(err) != fault.TooLarge {
		t.Errorf("a body that is too long: %v", err)
	}
	if o.rows(t) != 0 {
		t.Error("something was queued")
	}
}

func TestAttemptsEndAndAreReported(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t, Migrations))
	tenant, account := o.person(t)
	m := hello
	m.Account, m.Tenant = account, tenant
	if err := o.send(t, m); err != nil {
		t.Fatal(err)
	}
	o.out.fail = errors.New("450 4.2.1 mailbox busy")
	for n := range maxAttempts - 1 {
		if failed := o.work(t); len(failed) != 1 || o.rows(t) != 1 || len(o.failures) != 0 {
			t.Fatalf("attempt %d: %v, %d rows, failures %v", n+1, failed, o.rows(t), o.failures)
		}
	}
	if failed := o.work(t); failed != nil || o.rows(t) != 0 {
		t.Errorf("the last attempt: %v, %d rows", failed, o.rows(t))
	}
	if len(o.failures) != 1 || o.failures[0].Attempts != maxAttempts || o.failures[0].Account != account || o.failures[0].Kind != m.Kind {
		t.Errorf("failures: %+v", o.failures)
	}
	if s := o.log.String(); !strings.Contains(s, "given up") || strings.Contains(s, "xample.org") {
		t.Errorf("the log says %q", s)
	}
}

func TestRefusalIsFinalAtOnce(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t, Migrations))
	if err := o.send(t, hello); err != nil {
		t.Fatal(err)
	}
	o.out.fail = &Rejected{errors.New("550 5.1.1 no such user")}
	if failed := o.work(t); failed != nil || o.rows(t) != 0 || len(o.failures) != 1 || o.failures[0].Attempts != 1 {
		t.Errorf("%v, %d rows, failures %+v", failed, o.rows(t), o.failures)
	}
}

// A message dies with the key of its person, and nobody is written to.
func TestDestroyedKeyTakesTheMessageAlong(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t, Migrations))
	_, account := o.person(t)
	m := hello
	m.Account = account
	if err := o.send(t, m); err != nil {
		t.Fatal(err)
	}
	if err := o.k.Shred(t.Context(), keys.SubjectRef(account)); err != nil {
		t.Fatal(err)
	}
	if failed := o.work(t); failed != nil || o.rows(t) != 0 || len(o.out.got) != 0 || len(o.failures) != 1 {
		t.Errorf("%v, %d rows, sent %v, failures %+v", failed, o.rows(t), o.out.got, o.failures)
	}
	if err := o.send(t, m); fault.KindOf(err) != fault.Gone {
		t.Errorf("queueing under a destroyed key: %v", err)
	}
}

// Work that runs twice delivers once, as far as the row says.
func TestWorkOnAWipedRowDoesNothing(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t, Migrations))
	if err := o.send(t, hello); err != nil {
		t.Fatal(err)
	}
	for _, payload := range o.queue.payloads {
		for range 3 {
			if err := o.Queue().Run(t.Context(), payload); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(o.out.got) != 1 {
		t.Errorf("delivered %v", o.out.got)
	}
	for _, bad := range []string{"", "x", "ten_x/eml_y", string(id.Platform) + "/../x"} {
		if err := o.Queue().Run(t.Context(), []byte(bad)); err == nil {
			t.Errorf("the work item %q was taken", bad)
		}
	}
}

func TestAlteredRowIsNotSent(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t, Migrations))
	for range 2 {
		if err := o.send(t, hello); err != nil {
			t.Fatal(err)
		}
	}
	err := o.db.Write(t.Context(), func(tx *store.Tx) error {
		tx.Unaudited("test")
		_, err := tx.Exec("UPDATE mail_outbox SET sealed = (SELECT sealed FROM mail_outbox ORDER BY id LIMIT 1)")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if failed := o.work(t); len(failed) != 1 || !errors.Is(failed[0], keys.ErrAltered) || len(o.out.got) != 1 {
		t.Errorf("failed %v, sent %v", failed, o.out.got)
	}
}

func TestRoutes(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t, Migrations))
	own, sub := &transport{}, &transport{}
	o.o.Routes = append(o.o.Routes, Route{Domain: "own.example", Transport: own}, Route{Domain: "sub.own.example", Transport: sub})
	for to, want := range map[string]Transport{
		"a@example.org": o.out, "a@own.example": own, "a@x.own.example": own, "a@sub.own.example": sub,
		"a@notown.example": o.out, "a@canary.invalid": o.canary, "a@x.canary.invalid": o.canary, "a@notcanary.invalid": nil, "a@x.invalid": nil,
	} {
		r, err := o.route(Address(to))
		if r.Transport != want || (err != nil) != (want == nil) {
			t.Errorf("%s goes to %v, %v", to, r.Transport, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, from := range []string{"", "example.org", "a@localhost", "Name <a@example.org>\r\nBcc: x@example.org", "a@example.org, b@example.org"} {
		if _, err := New(nil, nil, nil, Options{From: from, Now: time.Now}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("the sender %q was taken: %v", from, err)
		}
	}
	c := NewCanary(time.Now)
	if _, err := New(nil, nil, nil, Options{From: "a@example.org", Routes: []Route{c.Route(), c.Route()}}); err == nil {
		t.Error("a domain was routed twice")
	}
}

func TestSweepRemovesWhatNobodyDelivers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOffice(t, db)
		for range 2 {
			if err := o.send(t, hello); err != nil {
				t.Fatal(err)
			}
			o.now = o.now.Add(2 * 24 * time.Hour)
		}
		var n int64
		err := db.Write(t.Context(), func(tx *store.Tx) (err error) {
			tx.Unaudited("test")
			n, err = SweepTx(tx, o.now)
			return err
		})
		if err != nil || n != 1 || o.rows(t) != 1 {
			t.Errorf("removed %d, %d left, %v", n, o.rows(t), err)
		}
	}, Migrations)
}
