package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"strconv"
	"sync"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"troth/internal/secret"
)

// SMTP delivers to one mail server (RFC 5321; submission: RFC 6409). The
// connection is encrypted with STARTTLS (RFC 3207) or from its first byte (RFC
// 8314, 3.3), with a certificate that is checked; in the clear it goes only to
// this very machine, and only when told so.
type SMTP struct {
	Host     string
	Port     int    // 0 is 587, or 465 with TLS
	TLS      string // "starttls" (also ""), "tls", "none"
	User     string // "" for no authentication
	Password secret.String
	Helo     string         // the name to say; "" is the machine's
	Roots    *x509.CertPool // nil is the system's
	Timeout  time.Duration  // of the whole exchange; 0 is 30 s
}

// The modes of SMTP.TLS.
const (
	StartTLS = "starttls"
	FullTLS  = "tls"
	NoTLS    = "none"
)

// Check says what is wrong with the settings.
func (s *SMTP) Check() error {
	switch {
	case s.Host == "":
		return errors.New("no mail server is named")
	case s.TLS != "" && s.TLS != StartTLS && s.TLS != FullTLS && s.TLS != NoTLS:
		return fmt.Errorf("the encryption of mail is %q, %q or %q, not %q", StartTLS, FullTLS, NoTLS, s.TLS)
	case s.TLS == NoTLS && !local(s.Host):
		return fmt.Errorf("mail goes without encryption only to this very machine, not to %s", s.Host)
	case s.User != "" && s.Password.IsZero():
		return errors.New("there is a user for the mail server and no password")
	}
	return nil
}

// local reports whether a host is this machine by its name alone.
func local(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// line is an open connection to a mail server.
type line struct {
	*smtp.Client
	server string

	mu    sync.Mutex
	conn  net.Conn
	ended bool
}

// opened notes the connection, unless the line was hung up already.
func (l *line) opened(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
	if l.ended {
		conn.Close()
	}
}

// hangUp closes the connection, also under a command that waits.
func (l *line) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.conn != nil {
		l.conn.Close()
	}
}

// address is host and port.
func (s *SMTP) address() string {
	port := s.Port
	if port == 0 {
		port = 587
		if s.TLS == FullTLS {
			port = 465
		}
	}
	return net.JoinHostPort(s.Host, strconv.Itoa(port))
}

// dial connects, encrypts and signs in. The connection ends with the context.
func (s *SMTP) dial(ctx context.Context) (*line, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	timeout := s.Timeout
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	if end, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(end))
	}
	if timeout <= 0 {
		return nil, context.DeadlineExceeded
	}
	l := &line{server: s.address()}
	client, err := gomail.NewClient(s.Host, s.options(timeout, l)...)
	if err != nil {
		return nil, fmt.Errorf("preparing the mail client: %w", err)
	}
	context.AfterFunc(ctx, l.hangUp)
	if l.Client, err = client.DialToSMTPClientWithContext(ctx); err != nil {
		l.hangUp()
		return nil, fmt.Errorf("connecting to the mail server %s: %w", l.server, redact(errors.Join(ctx.Err(), err)))
	}
	return l, nil
}

// options are the settings in the words of the library. It dials through us,
// so that the connection can be closed from outside.
func (s *SMTP) options(timeout time.Duration, l *line) []gomail.Option {
	config := &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12, RootCAs: s.Roots}
	policy := gomail.TLSMandatory
	if s.TLS == NoTLS {
		policy = gomail.NoTLS
	}
	options := []gomail.Option{
		gomail.WithTimeout(timeout),
		gomail.WithTLSConfig(config),
		gomail.WithTLSPolicy(policy),
		gomail.WithDialContextFunc(func(ctx context.Context, network, _ string) (net.Conn, error) {
			var dialer interface {
				DialContext(context.Context, string, string) (net.Conn, error)
			} = &net.Dialer{}
			if s.TLS == FullTLS {
				dialer = &tls.Dialer{Config: config}
			}
			conn, err := dialer.DialContext(ctx, network, l.server)
			if err == nil {
				l.opened(conn)
			}
			return conn, err
		}),
	}
	if s.TLS == FullTLS {
		options = append(options, gomail.WithSSL())
	}
	if s.Helo != "" {
		options = append(options, gomail.WithHELO(s.Helo))
	}
	if s.User != "" {
		options = append(options, gomail.WithUsername(s.User), gomail.WithPassword(s.Password.Reveal()),
			gomail.WithOpportunisticSMTPAuth(s.mechanisms()...))
	}
	return options
}

// mechanisms are the ways to sign in, the best first. A password goes in the
// clear only inside of TLS, or within this machine.
func (s *SMTP) mechanisms() []gomail.SMTPAuthType {
	if s.TLS == NoTLS {
		return []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc}
	}
	return []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256PLUS, gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin}
}

// Deliver hands one message over. It returns after the server has taken the
// responsibility (RFC 5321, 4.2.5), or an error; [Rejected] when the server
// refuses recipient or text for good.
func (s *SMTP) Deliver(ctx context.Context, from, to string, raw []byte) error {
	if Address(to).in("invalid") {
		return &Rejected{errors.New("the domain .invalid is never sent to")}
	}
	line, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer line.hangUp()
	if ok, _ := line.Extension("SMTPUTF8"); !ok && !Address(to).ascii() {
		return &Rejected{errors.New("the mail server does not know addresses with other than ASCII letters (RFC 6531)")}
	}
	if err := line.Mail("<" + from + ">"); err != nil {
		return fmt.Errorf("naming the sender: %w", redact(err)) // our own fault: trying again may help
	}
	if err := line.Rcpt("<" + to + ">"); err != nil {
		return verdict("naming the recipient", err)
	}
	data, err := line.Data()
	if err != nil {
		return verdict("beginning the text", err)
	}
	if _, err := data.Write(raw); err != nil {
		return fmt.Errorf("sending the text: %w", redact(err))
	}
	if err := data.Close(); err != nil {
		return verdict("ending the text", err)
	}
	// The server has taken it; how it says goodbye does not matter.
	_ = line.Quit()
	return nil
}

// verdict tells "never" from "not now" (RFC 5321, 4.2.1).
func verdict(doing string, err error) error {
	var reply *textproto.Error
	permanent := errors.As(err, &reply) && reply.Code >= 500
	err = fmt.Errorf("%s: %w", doing, redact(err))
	if permanent {
		return &Rejected{err}
	}
	return err
}

// Probed is what a look at the mail server found.
type Probed struct {
	Server    string // host and port
	Encrypted bool
	TLS       string // "TLS 1.3"
	Signed    bool   // signed in
}

// Probe connects, encrypts and signs in as a delivery would, and sends
// nothing: for the doctor.
func (s *SMTP) Probe(ctx context.Context) (Probed, error) {
	line, err := s.dial(ctx)
	if err != nil {
		return Probed{}, err
	}
	defer line.hangUp()
	p := Probed{Server: line.server, Signed: s.User != ""}
	if state, err := line.GetTLSConnectionState(); err == nil {
		p.Encrypted, p.TLS = true, tls.VersionName(state.Version)
	}
	if err := line.Noop(); err != nil {
		return Probed{}, fmt.Errorf("asking the mail server: %w", redact(err))
	}
	_ = line.Quit() // the answer is known
	return p, nil
}
