package mail

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"troth/internal/secret"
	"troth/internal/store/storetest"
)

// server is a real SMTP server on a local port.
type server struct {
	port  int
	roots *x509.CertPool

	mu       sync.Mutex
	got      []string // "from to: text"
	users    []string
	rcpt     error
	data     error
	needAuth bool
	hang     chan struct{}
}

// session is one connection to it.
type session struct {
	s        *server
	from, to string
	user     string
}

func (c *session) AuthMechanisms() []string { return []string{sasl.Plain} }
func (c *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "troth" || password != "pässword" {
			return gosmtp.ErrAuthFailed
		}
		c.user = user
		return nil
	}), nil
}
func (c *session) Reset()        {}
func (c *session) Logout() error { return nil }
func (c *session) Mail(from string, _ *gosmtp.MailOptions) error {
	if c.s.needAuth && c.user == "" {
		return gosmtp.ErrAuthRequired
	}
	c.from = from
	return nil
}
func (c *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	c.to = to
	if c.s.hang != nil {
		<-c.s.hang
	}
	return c.s.rcpt
}
func (c *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.s.data == nil {
		c.s.got = append(c.s.got, c.from+" "+c.to+": "+string(b))
		c.s.users = append(c.s.users, c.user)
	}
	return c.s.data
}

// the ways in which a test server speaks.
const (
	plain = iota
	withStartTLS
	fromTheStart
)

func serve(t *testing.T, how int) *server {
	t.Helper()
	cert, roots := certificate(t)
	s := &server{roots: roots}
	srv := gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) { return &session{s: s}, nil }))
	srv.Domain, srv.EnableSMTPUTF8, srv.AllowInsecureAuth = "mx.example.org", true, how == plain
	srv.ErrorLog = quiet{}
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = listener.Addr().(*net.TCPAddr).Port
	switch how {
	case withStartTLS:
		srv.TLSConfig = config
	case fromTheStart:
		listener = tls.NewListener(listener, config)
	}
	go srv.Serve(listener)
	t.Cleanup(func() { srv.Close() })
	return s
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// certificate makes one for 127.0.0.1 alone.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

func (s *server) client() *SMTP {
	return &SMTP{Host: "127.0.0.1", Port: s.port, Roots: s.roots, Helo: "troth.example.org"}
}

const letter = "From: a@example.org\r\nSubject: x\r\n\r\nText\r\n.\r\nend\r\n"

func TestSMTPDelivers(t *testing.T) {
	for how, mode := range map[int]string{withStartTLS: StartTLS, fromTheStart: FullTLS, plain: NoTLS} {
		t.Run(mode, func(t *testing.T) {
			s := serve(t, how)
			s.needAuth = true
			c := s.client()
			c.TLS, c.User, c.Password = mode, "troth", secret.Of("pässword")
			if err := c.Deliver(t.Context(), "no-reply@example.org", "anna@example.org", []byte(letter)); err != nil {
				t.Fatal(err)
			}
			if len(s.got) != 1 || s.got[0] != "no-reply@example.org anna@example.org: "+letter || s.users[0] != "troth" {
				t.Errorf("the server has %q from %q", s.got, s.users)
			}
			p, err := c.Probe(t.Context())
			if err != nil || p.Encrypted != (mode != NoTLS) || !p.Signed || len(s.got) != 1 {
				t.Errorf("probe: %+v, %v", p, err)
			}
			if mode != NoTLS && p.TLS != "TLS 1.3" {
				t.Errorf("spoke %s", p.TLS)
			}
		})
	}
}

// What must not happen silently: mail in the clear, to the wrong server, or
// without signing in.
func TestSMTPRefuses(t *testing.T) {
	encrypted, clear := serve(t, withStartTLS), serve(t, plain)
	_, others := certificate(t)
	for name, c := range map[string]struct {
		s      *server
		change func(*SMTP)
		says   string
	}{
		"no STARTTLS offered":    {clear, func(c *SMTP) {}, "STARTTLS"},
		"unknown certificate":    {encrypted, func(c *SMTP) { c.Roots = others }, "certificate"},
		"another name":           {encrypted, func(c *SMTP) { c.Host = "localhost" }, "certificate"},
		"clear to another host":  {clear, func(c *SMTP) { c.Host, c.TLS = "mail.example.org", NoTLS }, "only to this very machine"},
		"wrong password":         {encrypted, func(c *SMTP) { c.User, c.Password = "troth", secret.Of("wrong") }, "535"},
		"no password":            {encrypted, func(c *SMTP) { c.User = "troth" }, "no password"},
		"no host":                {encrypted, func(c *SMTP) { c.Host = "" }, "no mail server"},
		"unknown mode":           {encrypted, func(c *SMTP) { c.TLS = "ssl" }, `"starttls"`},
		"nobody listens":         {encrypted, func(c *SMTP) { c.Port = 1 }, "connect"},
		"TLS to a STARTTLS port": {encrypted, func(c *SMTP) { c.TLS = FullTLS }, "connect"},
	} {
		t.Run(name, func(t *testing.T) {
			client := c.s.client()
			c.change(client)
			err := client.Deliver(t.Context(), "a@example.org", "anna@example.org", []byte(letter))
			var rejected *Rejected
			if err == nil || errors.As(err, &rejected) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("delivering: %v; want an error that may pass, with %q", err, c.says)
			}
			if err != nil && strings.Contains(err.Error(), "wrong\"") {
				t.Errorf("the error tells the password: %v", err)
			}
			if _, err := client.Probe(t.Context()); err == nil {
				t.Error("the probe found nothing wrong")
			}
		})
	}
	if len(encrypted.got)+len(clear.got) != 0 {
		t.Error("something was delivered")
	}
}

// RFC 5321, 4.2.1: 4yz means later, 5yz means never; and no answer that quotes
// an address passes it on.
func TestSMTPVerdicts(t *testing.T) {
	for code, never := range map[int]bool{421: false, 450: false, 452: false, 550: true, 552: true, 554: true} {
		for _, stage := range []string{"recipient", "text"} {
			t.Run(fmt.Sprint(stage, code), func(t *testing.T) {
				s := serve(t, withStartTLS)
				answer := &gosmtp.SMTPError{Code: code, EnhancedCode: gosmtp.EnhancedCode{code / 100, 1, 1}, Message: "<anna@example.org>: (anna@example.org) no"}
				if stage == "text" {
					s.data = answer
				} else {
					s.rcpt = answer
				}
				err := s.client().Deliver(t.Context(), "a@example.org", "anna@example.org", []byte(letter))
				var rejected *Rejected
				if err == nil || errors.As(err, &rejected) != never {
					t.Errorf("%v; rejected: %v, want %v", err, !never, never)
				}
				if strings.Contains(err.Error(), "anna") || !strings.Contains(err.Error(), strconv.Itoa(code)) {
					t.Errorf("the error is %q", err)
				}
			})
		}
	}
}

func TestSMTPLetsGoWhenTheContextEnds(t *testing.T) {
	s := serve(t, withStartTLS)
	s.hang = make(chan struct{})
	defer close(s.hang)
	ctx, stop := context.WithCancel(t.Context())
	began := time.Now()
	time.AfterFunc(100*time.Millisecond, stop)
	err := s.client().Deliver(ctx, "a@example.org", "anna@example.org", []byte(letter))
	if err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	c := s.client()
	c.Timeout = 200 * time.Millisecond
	began = time.Now()
	if err := c.Deliver(t.Context(), "a@example.org", "anna@example.org", []byte(letter)); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	ended, stop := context.WithTimeout(t.Context(), -time.Second)
	defer stop()
	if err := c.Deliver(ended, "a@example.org", "anna@example.org", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with an ended context: %v", err)
	}
}

func TestSMTPNeverSendsToInvalid(t *testing.T) {
	s := serve(t, withStartTLS)
	for _, to := range []string{"a@canary.invalid", "a@invalid"} {
		var rejected *Rejected
		if err := s.client().Deliver(t.Context(), "a@example.org", to, nil); !errors.As(err, &rejected) {
			t.Errorf("%s: %v", to, err)
		}
	}
}

// The whole way: action, outbox, queue, server.
func TestMailOverSMTP(t *testing.T) {
	s := serve(t, withStartTLS)
	o := newOffice(t, storetest.SQLite(t, Migrations))
	o.o.Routes[0].Transport = s.client()
	if err := o.send(t, hello); err != nil {
		t.Fatal(err)
	}
	if failed := o.work(t); failed != nil {
		t.Fatal(failed)
	}
	if len(s.got) != 1 || o.rows(t) != 0 {
		t.Fatalf("the server has %q, %d rows are left", s.got, o.rows(t))
	}
	envelope, raw, _ := strings.Cut(s.got[0], ": ")
	got, err := read([]byte(raw))
	if err != nil || envelope != "no-reply@example.org Anna.Ä@example.org" || got.Subject != hello.Subject || got.Body != hello.Body {
		t.Errorf("arrived as %q, %+v, %v", envelope, got, err)
	}
}
