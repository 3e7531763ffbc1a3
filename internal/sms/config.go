package sms

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"troth/internal/config"
	"troth/internal/fault"
)

// The drivers.
const (
	DriverWebhook = "webhook"
	DriverTwilio  = "twilio"
	DriverVonage  = "vonage"
	DriverSNS     = "sns"
)

// Config is the section [sms].
type Config struct {
	Driver     string          `toml:"driver" doc:"Who carries text messages: webhook (a service of yours, signed as in Standard Webhooks), twilio, vonage, sns (Amazon), or empty for nobody. In development, empty shows them on a page."`
	Countries  []string        `toml:"countries" doc:"Where texts may go, as beginnings of numbers: [\"+49\", \"+43\"]. The longest counts, and ! excludes: [\"+1\", \"!+1876\"]. [\"+\"] is the whole world: think of the bill first."`
	PerHour    int             `toml:"per_hour" doc:"How many texts the whole installation sends in an hour at most. It bounds the bill when somebody causes texts to numbers that pay them."`
	From       string          `toml:"from" doc:"Who texts come from: a number in the form +4930…, a name of at most 11 letters and digits, or the SID of a Twilio messaging service (MG…)."`
	Account    string          `toml:"account" doc:"twilio: the SID of the account (AC…)."`
	Key        string          `toml:"key" doc:"twilio: the SID of an API key (SK…), or empty to use the account's token. vonage: the API key. sns: the access key ID."`
	SecretFile string          `toml:"secret_file" doc:"The file with the secret that belongs to it, readable by its owner alone. webhook: whsec_ and 24 to 64 bytes in base64."`
	Region     string          `toml:"region" doc:"sns: the region, as in eu-central-1."`
	URL        string          `toml:"url" doc:"webhook: where texts are posted to. Otherwise the address of the service, if it is not the usual one."`
	Timeout    config.Duration `toml:"timeout" doc:"The longest that one exchange with the service may take."`
}

// Defaults are the settings of an installation that sets nothing.
func Defaults() Config {
	return Config{PerHour: 200, Timeout: config.Duration(10 * time.Second)}
}

// Configured reports whether a service carries texts.
func (c *Config) Configured() bool { return c.Driver != "" }

// Sections describes the keys.
func (c *Config) Sections() []config.Section {
	return []config.Section{{
		Name: "sms", Value: c, Check: c.check,
		Doc: "Codes by text message, for the organisations whose plan has them ([[plan]]). They are the weakest thing that counts as a second factor, and each one costs money.",
	}}
}

var (
	prefixForm  = regexp.MustCompile(`^!?\+([1-9][0-9]{0,14})?$`)
	fromForm    = regexp.MustCompile(`^(\+[1-9][0-9]{6,14}|[A-Za-z0-9 ]{1,11}|MG[0-9a-f]{32})$`)
	accountForm = regexp.MustCompile(`^AC[0-9a-f]{32}$`)
	regionForm  = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)
)

func (c *Config) check() error {
	invalid := func(key, format string, args ...any) error {
		return fault.New(fault.Invalid, "sms.config", format, args...).On("sms." + key)
	}
	for _, prefix := range c.Countries {
		if !prefixForm.MatchString(prefix) {
			return invalid("countries", "sms.countries holds %q; write the beginnings of numbers, as in +49, or !+1876 to exclude one.", prefix)
		}
	}
	switch {
	case c.PerHour < 1 || c.PerHour > 1_000_000:
		return invalid("per_hour", "sms.per_hour is %d; it can be 1 to 1000000.", c.PerHour)
	case c.Timeout.D() < time.Second || c.Timeout > config.Duration(attempt):
		return invalid("timeout", "sms.timeout is %s; choose 1s to %s.", c.Timeout, config.Duration(attempt))
	case c.URL != "" && !fit(c.URL):
		return invalid("url", "sms.url is %q; write it as https://host/path. Without encryption it may lead to this very machine only, and it holds no password.", c.URL)
	}
	if !c.Configured() {
		if c.SecretFile != "" || c.Key != "" || c.Account != "" || c.URL != "" {
			return invalid("driver", "sms.driver is empty, so nothing carries texts: name it, or leave the other keys of [sms] out.")
		}
		return nil
	}
	if len(c.Countries) == 0 {
		return invalid("countries", "sms.countries is empty, so no text would go anywhere: list the countries of your people, as in [\"+49\"].")
	}
	if c.SecretFile == "" {
		return invalid("secret_file", "sms.secret_file is empty: name the file that holds the secret.")
	}
	return c.checkDriver(invalid)
}

// checkDriver looks at what one driver needs.
func (c *Config) checkDriver(invalid func(key, format string, args ...any) error) error {
	if c.From != "" && !fromForm.MatchString(c.From) {
		return invalid("from", "sms.from is %q; write a number as +4930901820, or a name of at most 11 letters and digits.", c.From)
	}
	switch c.Driver {
	case DriverWebhook:
		if c.URL == "" {
			return invalid("url", "sms.url is empty: say where the texts are posted to.")
		}
	case DriverTwilio:
		if !accountForm.MatchString(c.Account) {
			return invalid("account", "sms.account is %q; it is AC and 32 digits, as the console of Twilio shows it.", c.Account)
		}
		if c.From == "" {
			return invalid("from", "sms.from is empty: Twilio needs the number or the messaging service that texts come from.")
		}
	case DriverVonage:
		if c.Key == "" || c.From == "" {
			return invalid("key", "sms.key and sms.from are needed for Vonage: the API key, and who texts come from.")
		}
	case DriverSNS:
		if c.Key == "" {
			return invalid("key", "sms.key is empty: Amazon SNS needs an access key ID that may only publish.")
		}
		if !regionForm.MatchString(c.Region) {
			return invalid("region", "sms.region is %q; write it as eu-central-1.", c.Region)
		}
	default:
		return invalid("driver", "sms.driver is %q; choose webhook, twilio, vonage or sns.", c.Driver)
	}
	return nil
}

// fit reports whether texts may be posted to an address.
func fit(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && local(u.Hostname())
}

func local(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Sender is the driver that the settings describe, or nil. It reads the secret;
// what is wrong with it is fault.Invalid.
func (c *Config) Sender() (Sender, error) {
	if !c.Configured() {
		return nil, nil
	}
	secret, err := config.ReadSecret("sms.secret_file", c.SecretFile)
	if err != nil {
		return nil, err
	}
	at := func(usual string) string {
		if c.URL != "" {
			return strings.TrimSuffix(c.URL, "/")
		}
		return usual
	}
	w := newWire(c.Timeout.D())
	switch c.Driver {
	case DriverWebhook:
		return newWebhook(w, c.URL, secret)
	case DriverTwilio:
		user := c.Account
		if c.Key != "" {
			user = c.Key
		}
		return &twilio{w, at("https://api.twilio.com"), c.Account, user, secret, c.From}, nil
	case DriverVonage:
		return &vonage{w, at("https://api.nexmo.com"), c.Key, secret, c.From}, nil
	case DriverSNS:
		return &sns{w, at("https://sns." + c.Region + ".amazonaws.com"), c.Region, c.Key, secret, c.From}, nil
	}
	return nil, fault.New(fault.Invalid, "sms.config", "sms.driver is %q; choose webhook, twilio, vonage or sns.", c.Driver).On("sms.driver")
}

// hostOf is the host of an address, for sentences.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	if host, _, err := net.SplitHostPort(u.Host); err == nil {
		return host
	}
	return u.Host
}
