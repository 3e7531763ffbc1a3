package app

import (
	"crypto/tls"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"

	"troth/internal/access"
	"troth/internal/edge"
	"troth/internal/fault"
	"troth/internal/part"
	"troth/internal/tenant"
	"troth/internal/text"
)

func (s *Settings) checkSite() error {
	if s.site.Environment != development && s.site.Environment != production {
		return invalid("environment", "environment is %q; choose development or production.", s.site.Environment)
	}
	for key, address := range map[string]string{"listen": s.site.Listen, "redirect_http": s.site.RedirectHTTP} {
		if _, _, err := net.SplitHostPort(address); err != nil && (address != "" || key == "listen") {
			return invalid(key, "%s is %q; write an address and a port, as in 127.0.0.1:8443 or :443.", key, address)
		}
	}
	if s.site.Environment == development && !s.mail.Configured() && !loopback(s.site.Listen) {
		return invalid("listen", "In development the mail of everybody is shown on a page, so Troth listens on this machine only: set listen to 127.0.0.1 and a port, or configure [mail]. listen is %q.", s.site.Listen)
	}
	if s.site.Origin != "" {
		u, err := url.Parse(s.site.Origin)
		if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
			return invalid("origin", "origin is %q; write https://, a host name and possibly a port, as in https://app.example.com.", s.site.Origin)
		}
	}
	for _, h := range s.site.Hosts {
		if h == "" || strings.ContainsAny(h, " /:@") && net.ParseIP(h) == nil {
			return invalid("hosts", "hosts holds %q; write host names alone, as in app.example.com.", h)
		}
	}
	if _, err := s.upstream(); err != nil {
		return err
	}
	_, err := s.trusted()
	return err
}

func (s *Settings) checkTLS() error {
	if (s.tls.CertificateFile == "") != (s.tls.KeyFile == "") {
		return invalid("tls.key_file", "tls.certificate_file and tls.key_file belong together: set both, or neither.")
	}
	return nil
}

// loopback reports whether only this machine reaches an address.
func loopback(address string) bool {
	name, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(name)
	return err == nil && (name == "localhost" || ip != nil && ip.IsLoopback())
}

// checkProduction refuses what is good enough only for trying out, and names
// everything that is missing at once.
func (s *Settings) checkProduction() error {
	if s.site.Environment != production {
		return nil
	}
	var missing []any
	want := func(ok bool, format string, args ...any) {
		if !ok {
			missing = append(missing, text.New(format, args...))
		}
	}
	want(s.site.Origin != "", "Set origin to the address that browsers see, as in https://app.example.com.")
	want(s.tls.CertificateFile != "", "Set tls.certificate_file and tls.key_file to a certificate that browsers trust; the local authority is for development.")
	want(s.mail.Configured(), "Set mail.host and mail.from to an SMTP server, for confirmations and invitations; the mail page is for development.")
	want(!within(s.rootDir(), s.Data), "Set keys.root to a directory outside of the data directory, such as /etc/troth/root, and move the files of %s there, so that a copy of the data opens nothing.", s.rootDir())
	if len(missing) == 0 {
		return nil
	}
	format := "In production Troth does not start yet."
	for range missing {
		format += " %s"
	}
	return fault.New(fault.Invalid, "app.production", format, missing...).On("environment")
}

// checkWhole looks at what only the sections together can get wrong: files
// that are named, permissions, and the routes that ask for them.
func (s *Settings) checkWhole() error {
	for key, path := range map[string]string{"tls.certificate_file": s.tls.CertificateFile, "tls.key_file": s.tls.KeyFile} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			return invalid(key, "%s names %s, which cannot be read: %v.", key, path, reason(err))
		}
	}
	if err := s.checkCertificate(); err != nil {
		return err
	}
	parts := described()
	grants, err := grantsOf(s, parts)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, g := range grants {
		known[string(g.Permission)] = true
	}
	if err := edge.CheckRoutes(s.appRoutes(), func(p string) bool { return known[p] }); err != nil {
		return fault.Wrap(err, fault.Invalid, "app.route", "A [[route]] of the configuration cannot be used: %v.", err).On("route")
	}
	return nil
}

// checkCertificate refuses a certificate that cannot be used, or that browsers
// would refuse for the origin.
func (s *Settings) checkCertificate() error {
	if s.tls.CertificateFile == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(s.tls.CertificateFile, s.tls.KeyFile)
	if err != nil {
		return invalid("tls.certificate_file", "%s and %s are no certificate and its key: %v.", s.tls.CertificateFile, s.tls.KeyFile, err)
	}
	if name := host(s.site.Origin); pair.Leaf.VerifyHostname(name) != nil {
		return invalid("tls.certificate_file", "The certificate %s is not for %s, which is the host of origin.", s.tls.CertificateFile, name)
	}
	return nil
}

// grantsOf are the permissions of the parts and those of the application.
func grantsOf(s *Settings, parts []part.Part) ([]access.Grant, error) {
	names := map[string][]string{}
	for _, p := range s.permissions {
		if _, twice := names[p.Name]; twice {
			return nil, invalid("permission", "The permission %q stands twice in the configuration.", p.Name)
		}
		names[p.Name] = p.Roles
	}
	var reserved []string
	for _, p := range parts {
		reserved = append(reserved, p.Name)
	}
	own, err := access.Application(names, reserved...)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "app.permission", "A [[permission]] of the configuration cannot be used: %v.", err).On("permission")
	}
	return append(part.All(parts, func(p part.Part) []access.Grant { return p.Permissions }), own...), nil
}

func invalid(key, format string, args ...any) error {
	return fault.New(fault.Invalid, "app.setting", format, args...).On(key)
}

var planName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

func (s *Settings) checkPlans() error {
	seen := map[string]bool{tenant.NoPlan: true}
	for _, p := range s.plans {
		if !planName.MatchString(p.Name) || seen[p.Name] {
			return invalid("plan", "A [[plan]] is called %q; give each a name of its own, of small letters, digits and dashes, and not %s.", p.Name, tenant.NoPlan)
		}
		seen[p.Name] = true
	}
	return nil
}

// planList is the plans for package tenant.
func (s *Settings) planList() []tenant.Plan {
	var all []tenant.Plan
	for _, p := range s.plans {
		all = append(all, tenant.Plan(p))
	}
	return all
}
