package app

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"troth/internal/account"
	auditplug "troth/internal/audit/plug"
	"troth/internal/breach"
	"troth/internal/config"
	"troth/internal/edge"
	"troth/internal/factor"
	"troth/internal/fault"
	"troth/internal/mail"
	"troth/internal/passkey"
	"troth/internal/place"
	"troth/internal/sms"
)

// The environments.
const (
	development = "development" // local authority, mail page, everything in one directory
	production  = "production"  // refuses to start without the real things
)

// site is the top of troth.toml.
type site struct {
	Environment    string   `toml:"environment" doc:"development: a local certificate authority and a page that shows mail. production: refuses to start without a certificate, an SMTP server and a root key outside of the data directory."`
	Service        string   `toml:"service" doc:"The name of your service, as people read it on pages and in mails."`
	Listen         string   `toml:"listen" doc:"The address and port on which the front door listens."`
	Origin         string   `toml:"origin" doc:"What browsers see, as in https://app.example.com. Empty: https://localhost and the port of listen."`
	Hosts          []string `toml:"hosts" doc:"Further host names under which the front door is reached."`
	Upstream       string   `toml:"upstream" doc:"Your application: http://127.0.0.1:3000, https://…, or unix:/path/to/socket. Empty: only Troth's own pages."`
	Audience       string   `toml:"audience" doc:"What your application expects as \"aud\" in Troth-Assertion. Empty: the origin."`
	TrustedProxies []string `toml:"trusted_proxies" doc:"Addresses or networks of proxies before Troth, whose X-Forwarded-For is believed."`
	RedirectHTTP   string   `toml:"redirect_http" doc:"An address such as :80 on which plain HTTP is answered with a redirect to the origin. Empty: none."`
}

// tlsFiles is the section [tls].
type tlsFiles struct {
	CertificateFile string `toml:"certificate_file" doc:"PEM file with the certificate and its chain; reloaded when it changes. Empty: the local authority (development only)."`
	KeyFile         string `toml:"key_file" doc:"PEM file with its private key."`
}

// storage is the section [store].
type storage struct {
	URL     string `toml:"url" doc:"Empty: an encrypted SQLite database in the data directory. Or postgres://USER@HOST/DATABASE; several hosts and target_session_attrs=read-write find the writable server. With a password in it, use url_file."`
	URLFile string `toml:"url_file" doc:"A file that holds the URL instead, when it contains a password."`
}

// hierarchy is the section [keys].
type hierarchy struct {
	Root           string `toml:"root" doc:"The directory of the root key files. Empty: root/ in the data directory; in production it must lie elsewhere, so that a copy of the data opens nothing."`
	KeyringURL     string `toml:"keyring_url" doc:"The keyring, which holds wrapped keys only. Empty: keyring.db in the data directory. With Postgres, several nodes share a postgres:// URL of its own database."`
	KeyringURLFile string `toml:"keyring_url_file" doc:"A file that holds the URL instead."`
}

// route is one [[route]].
type route struct {
	Path   string `toml:"path" doc:"a path of your application and everything below it; the longest wins"`
	Access string `toml:"access" doc:"public, signed-in, or the name of a permission"`
}

// permission is one [[permission]].
type permission struct {
	Name  string   `toml:"name" doc:"as your application calls it, such as note.write"`
	Roles []string `toml:"roles" doc:"the lowest role that has it is enough: owner, admin, member or viewer"`
}

// customerPlan is one [[plan]].
type customerPlan struct {
	Name         string `toml:"name" doc:"what “troth tenant plan” calls it, such as business"`
	TextMessages bool   `toml:"text_messages" doc:"whether the people of a tenant on this plan may set up codes by text message, which [sms] sends"`
}

// Settings is a whole troth.toml.
type Settings struct {
	Data string // the data directory; never in the file

	site        site
	tls         tlsFiles
	store       storage
	keys        hierarchy
	account     account.Config
	breach      breach.Config
	mail        mail.Config
	place       place.Config
	sms         sms.Config
	passkey     passkey.Config
	factor      factor.Config
	log         auditplug.Config
	routes      []route
	permissions []permission
	plans       []customerPlan
}

// defaults are the settings of a development installation that sets nothing.
func defaults(data string) *Settings {
	s := &Settings{
		Data: data, account: account.Defaults(), mail: mail.Defaults(), breach: breach.Defaults(), sms: sms.Defaults(), factor: factor.Defaults(), passkey: passkey.Defaults(), log: auditplug.Defaults(),
		site: site{Environment: development, Service: "Troth", Listen: "127.0.0.1:8443"},
	}
	return s
}

// sections describes all keys, in the order of the commented file.
func (s *Settings) sections() []config.Section {
	list := []config.Section{
		{Doc: "Troth. Every key stands here with its sentence; a line that begins with # shows the default. “troth config check” reads this file as “troth serve” does.", Value: &s.site, Check: s.checkSite},
		{Name: "tls", Doc: "Where the certificate comes from.", Value: &s.tls, Check: s.checkTLS},
		{Name: "store", Doc: "Where the data is kept.", Value: &s.store},
		{Name: "keys", Doc: "Where the keys are kept.", Value: &s.keys},
	}
	list = append(list, s.account.Sections()...)
	list = append(list, s.breach.Sections()...)
	list = append(list, s.mail.Sections()...)
	list = append(list, s.place.Sections()...)
	list = append(list, s.factor.Sections()...)
	list = append(list, s.sms.Sections()...)
	list = append(list, s.passkey.Sections()...)
	list = append(list, s.log.Sections()...)
	return append(list,
		config.Section{Name: "route", Doc: "Who may reach which part of your application. What no route covers needs a signed-in person.", Value: &s.routes},
		config.Section{Name: "permission", Doc: "Permissions of your application, by role. They arrive in Troth-Assertion, and a [[route]] can ask for them.", Value: &s.permissions},
		config.Section{Name: "plan", Doc: "Plans, of which “troth tenant plan” gives one to a customer.", Value: &s.plans, Check: s.checkPlans},
	)
}

// load reads the file (if there is one) and the environment, lets the flags of
// serve change them, and checks all. Without flags, what serve was told last by
// its flags holds where the configuration says nothing.
func (s *Settings) load(file string, environ []string, flags func(*Settings)) error {
	probe := defaults(s.Data) // the environment decides some defaults, so it is read first
	if err := config.Load(file, environ, probe.sections()...); err != nil {
		return err
	}
	s.adapt(probe.site.Environment)
	if err := config.Load(file, environ, s.sections()...); err != nil {
		return err
	}
	if flags != nil {
		flags(s)
		if err := s.checkSite(); err != nil {
			return err
		}
	} else if err := s.recall(); err != nil {
		return err
	}
	if s.site.Origin == "" && s.site.Environment != production {
		if _, port, err := net.SplitHostPort(s.site.Listen); err == nil {
			s.site.Origin = "https://localhost:" + port
		}
	}
	s.site.Origin = strings.TrimSuffix(s.site.Origin, "/")
	if err := s.checkProduction(); err != nil {
		return err
	}
	return s.checkWhole()
}

// served is where the front door stood when serve ran last. The other commands
// read it, so that they speak of the same address when it was given by a flag.
type served struct {
	Origin   string `json:"origin"`
	Listen   string `json:"listen"`
	Upstream string `json:"upstream"`
}

func (s *Settings) servedPath() string { return filepath.Join(s.Data, "served.json") }

// remember writes down where the front door stands.
func (s *Settings) remember() error {
	b, err := json.Marshal(served{s.site.Origin, s.site.Listen, s.site.Upstream})
	if err != nil {
		return err
	}
	return os.WriteFile(s.servedPath(), append(b, '\n'), 0o600)
}

func (s *Settings) recall() error {
	b, err := os.ReadFile(s.servedPath())
	if errors.Is(err, fs.ErrNotExist) || s.site.Origin != "" {
		return nil
	}
	var last served
	if err == nil {
		err = json.Unmarshal(b, &last)
	}
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "app.served", "The file %s, in which serve keeps its address, cannot be read. Remove it.", s.servedPath())
	}
	s.site.Origin, s.site.Listen = last.Origin, last.Listen
	if s.site.Upstream == "" {
		s.site.Upstream = last.Upstream
	}
	return nil
}

// adapt sets the defaults that differ by environment: signing up is open where
// one tries things out, and by invitation where real people are.
func (s *Settings) adapt(environment string) {
	s.account.Mode = account.SignupInvite
	if environment == development {
		s.account.Mode = account.SignupOpen
	}
}

// file is the path of the configuration to read: the one named, or troth.toml
// in the data directory if there is one.
func file(named, data string) string {
	if named != "" {
		return named
	}
	path := filepath.Join(data, "troth.toml")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

func (s *Settings) rootDir() string {
	if s.keys.Root != "" {
		return s.keys.Root
	}
	return filepath.Join(s.Data, "root")
}

// within reports whether a path lies in a directory, links resolved.
func within(path, dir string) bool {
	resolve := func(p string) string {
		if abs, err := filepath.Abs(p); err == nil {
			p = abs
		}
		if real, err := filepath.EvalSymlinks(p); err == nil {
			p = real
		}
		return p
	}
	rel, err := filepath.Rel(resolve(dir), resolve(path))
	return err != nil || rel == "." || !strings.HasPrefix(rel, "..")
}

// authority is the file of the local authority's certificate, or "" when the
// certificate is one that everybody trusts.
func (s *Settings) authority() string {
	if s.tls.CertificateFile != "" {
		return ""
	}
	return filepath.Join(s.Data, "ca.pem")
}

// publicAuthority is its name as strangers may read it: not where it lies.
func (s *Settings) publicAuthority() string {
	if s.authority() == "" {
		return ""
	}
	return "ca.pem"
}

func (s *Settings) upstream() (*url.URL, error) {
	if s.site.Upstream == "" {
		return nil, nil
	}
	u, err := url.Parse(s.site.Upstream)
	if err != nil || u.User != nil || !(u.Scheme == "unix" && u.Path != "" || (u.Scheme == "http" || u.Scheme == "https") && u.Host != "") {
		return nil, invalid("upstream", "upstream is %q; write it as http://127.0.0.1:3000, https://host or unix:/path/to/socket.", s.site.Upstream)
	}
	return u, nil
}

func (s *Settings) trusted() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, t := range s.site.TrustedProxies {
		p, err := netip.ParsePrefix(t)
		if err != nil {
			a, err := netip.ParseAddr(t)
			if err != nil {
				return nil, invalid("trusted_proxies", "trusted_proxies holds %q; write addresses or networks, as in 10.0.0.7 or 10.0.0.0/24.", t)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

func (s *Settings) appRoutes() []edge.AppRoute {
	var list []edge.AppRoute
	for _, r := range s.routes {
		list = append(list, edge.AppRoute{Path: r.Path, Access: r.Access})
	}
	return list
}

// secretURL is a URL from the file itself or from a secret file.
func secretURL(key, value, path, otherwise string) (string, error) {
	if path != "" {
		s, err := config.ReadSecret(key, path)
		return s.Reveal(), err
	}
	if value != "" {
		return value, nil
	}
	return otherwise, nil
}

func (s *Settings) storeURL() (string, error) {
	return secretURL("store.url_file", s.store.URL, s.store.URLFile, "sqlite:"+filepath.Join(s.Data, "troth.db"))
}

func (s *Settings) keyringURL() (string, error) {
	return secretURL("keys.keyring_url_file", s.keys.KeyringURL, s.keys.KeyringURLFile, "sqlite:"+filepath.Join(s.Data, "keyring.db"))
}
