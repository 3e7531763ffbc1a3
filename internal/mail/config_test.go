package mail

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"troth/internal/config"
	"troth/internal/fault"
)

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, _ := certificate(t)
	password := write("password", "pässword\n", 0o600)
	open := write("open", "pässword\n", 0o644)
	ca := write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})), 0o644)
	const server = "host = 'mail.example.org'\nfrom = 'A <a@example.org>'\n"
	for name, c := range map[string]struct{ text, key string }{
		"nothing":               {"", ""},
		"a server":              {server, ""},
		"everything":            {server + "port = 2525\nencryption = 'tls'\nuser = 'troth'\npassword_file = '" + password + "'\nca_file = '" + ca + "'\nhelo = 'x'\ntimeout = '5s'\n", ""},
		"this machine in clear": {"host = '127.0.0.1'\nfrom = 'a@example.org'\nencryption = 'none'\n", ""},
		"no host, but a user":   {"user = 'troth'\n", "mail.host"},
		"no sender":             {"host = 'mail.example.org'\n", "mail.from"},
		"no such encryption":    {server + "encryption = 'ssl'\n", "mail.encryption"},
		"clear to elsewhere":    {server + "encryption = 'none'\n", "mail.encryption"},
		"user without password": {server + "user = 'troth'\n", "mail.password_file"},
		"open password file":    {server + "user = 'troth'\npassword_file = '" + open + "'\n", "mail.password_file"},
		"no password file":      {server + "user = 'troth'\npassword_file = '/nowhere'\n", "mail.password_file"},
		"no certificates":       {server + "ca_file = '" + password + "'\n", "mail.ca_file"},
		"port":                  {server + "port = 70000\n", "mail.port"},
		"timeout":               {server + "timeout = '1ms'\n", "mail.timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			c0 := Defaults()
			file := write("troth.toml", "[mail]\n"+c.text, 0o644)
			err := config.Load(file, nil, c0.Sections()...)
			var s *SMTP
			if err == nil && c0.Configured() {
				s, err = c0.SMTP()
			}
			if c.key == "" {
				if err != nil {
					t.Fatal(err)
				}
				if name == "everything" && (s.Password.Reveal() != "pässword" || s.Roots == nil || s.Timeout != 5*time.Second || s.Port != 2525) {
					t.Errorf("read as %+v", s)
				}
				return
			}
			if f := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Field != c.key || strings.Contains(err.Error(), "pässword") {
				t.Errorf("%v, want a fault at %s", err, c.key)
			}
		})
	}
	d := Defaults()
	if d.Configured() || d.Sender() != devFrom {
		t.Errorf("an empty section sends as %q", d.Sender())
	}
}
