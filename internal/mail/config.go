package mail

import (
	"crypto/x509"
	"os"
	"time"

	"troth/internal/config"
	"troth/internal/fault"
)

// Config is the section [mail].
type Config struct {
	From         string          `toml:"from" doc:"Who mail comes from: \"Example <no-reply@example.org>\". Empty in development, where it is no-reply@localhost.invalid."`
	Host         string          `toml:"host" doc:"The mail server that takes the mail. Empty in development: a page shows the mail instead."`
	Port         int             `toml:"port" doc:"Its port; 0 is 587, or 465 with encryption = \"tls\"."`
	Encryption   string          `toml:"encryption" doc:"starttls (RFC 3207), tls from the first byte (RFC 8314), or none, which is allowed to this very machine only."`
	User         string          `toml:"user" doc:"The user to sign in as; empty for none."`
	PasswordFile string          `toml:"password_file" doc:"The file with the user's password, readable by its owner alone."`
	CAFile       string          `toml:"ca_file" doc:"A file of PEM certificates to check the mail server with, instead of the system's."`
	Helo         string          `toml:"helo" doc:"The name to say to the mail server; empty is the machine's."`
	Timeout      config.Duration `toml:"timeout" doc:"The longest that one exchange with the mail server may take."`
}

// devFrom is the sender in a development installation that names none. Mail
// from it stays in the mailbox there.
const devFrom = "Troth <no-reply@localhost.invalid>"

// Defaults are the settings of an installation that sets nothing.
func Defaults() Config {
	return Config{Encryption: StartTLS, Timeout: config.Duration(30 * time.Second)}
}

// Configured reports whether mail goes to a mail server.
func (c *Config) Configured() bool { return c.Host != "" }

// Sender is the sender of mail.
func (c *Config) Sender() string {
	if c.From == "" && !c.Configured() {
		return devFrom
	}
	return c.From
}

// Sections describes the keys.
func (c *Config) Sections() []config.Section {
	return []config.Section{{
		Name: "mail", Value: c, Check: c.check,
		Doc: "How confirmations, resets and invitations reach people.",
	}}
}

func (c *Config) check() error {
	invalid := func(key, format string, args ...any) error {
		return fault.New(fault.Invalid, "mail.config", format, args...).On("mail." + key)
	}
	if !c.Configured() {
		if c.User != "" || c.PasswordFile != "" || c.Port != 0 {
			return invalid("host", "mail.host is empty, so no mail server is used: name it, or leave the other keys of [mail] out.")
		}
		return nil
	}
	switch {
	case c.From == "":
		return invalid("from", "mail.from is empty: say who the mail comes from, as in \"Example <no-reply@example.org>\".")
	case c.Port < 0 || c.Port > 65535:
		return invalid("port", "mail.port is %d; a port is a number up to 65535.", c.Port)
	case c.Encryption != StartTLS && c.Encryption != FullTLS && c.Encryption != NoTLS:
		return invalid("encryption", "mail.encryption is %q; choose starttls, tls or none.", c.Encryption)
	case c.Encryption == NoTLS && !local(c.Host):
		return invalid("encryption", "Mail goes without encryption to this very machine only, not to %s: choose starttls or tls.", c.Host)
	case (c.User == "") != (c.PasswordFile == ""):
		return invalid("password_file", "mail.user and mail.password_file belong together: set both, or neither.")
	case c.Timeout.D() < time.Second || c.Timeout.D() > 5*time.Minute:
		return invalid("timeout", "mail.timeout is %s; choose 1s to 5m.", c.Timeout)
	}
	return nil
}

// SMTP is the transport that the settings describe. It reads the password and
// the certificates; what is wrong with them is fault.Invalid.
func (c *Config) SMTP() (*SMTP, error) {
	s := &SMTP{Host: c.Host, Port: c.Port, TLS: c.Encryption, User: c.User, Helo: c.Helo, Timeout: c.Timeout.D()}
	var err error
	if c.PasswordFile != "" {
		if s.Password, err = config.ReadSecret("mail.password_file", c.PasswordFile); err != nil {
			return nil, err
		}
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fault.Wrap(err, fault.Invalid, "mail.config", "The file %s named by mail.ca_file cannot be read.", c.CAFile).On("mail.ca_file")
		}
		s.Roots = x509.NewCertPool()
		if !s.Roots.AppendCertsFromPEM(pem) {
			return nil, fault.New(fault.Invalid, "mail.config", "There is no PEM certificate in %s, which mail.ca_file names.", c.CAFile).On("mail.ca_file")
		}
	}
	if err := s.Check(); err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "mail.config", "The section [mail] cannot be used: %s.", err.Error()).On("mail.host")
	}
	return s, nil
}
