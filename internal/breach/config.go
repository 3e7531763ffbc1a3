package breach

import (
	"net/url"
	"strings"
	"time"

	"troth/internal/config"
	"troth/internal/fault"
)

// Config is the section [breach].
type Config struct {
	Dir          string          `toml:"dir" doc:"Where the imported lists lie. Empty: breach/ in the data directory. Every node needs its own copy, or a directory that all can read."`
	Alert        []string        `toml:"alert" doc:"The addresses of those who are told when somebody's password was found in a breach. Empty: the platform owners."`
	RangeURL     string          `toml:"range_url" doc:"A k-anonymity range service for passwords that no imported list holds, as in https://api.pwnedpasswords.com/range/. It gets the first five digits of the SHA-1. Empty: nobody is asked."`
	RangeTimeout config.Duration `toml:"range_timeout" doc:"How long that service may take. When it takes longer, it is as if it had not been asked."`
}

// Defaults is the configuration of an installation that sets nothing.
func Defaults() Config { return Config{RangeTimeout: config.Duration(800 * time.Millisecond)} }

// Sections describes the configuration to package config.
func (c *Config) Sections() []config.Section {
	return []config.Section{{Name: "breach", Doc: "Breached passwords. Lists are imported with “troth breach import”.", Value: c, Check: c.check}}
}

const maxAlert = 20

func (c *Config) check() error {
	if c.RangeURL != "" {
		u, err := url.Parse(c.RangeURL)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return fault.New(fault.Invalid, "breach.range_url", "breach.range_url is no https URL to which five digits can be added.").On("breach.range_url")
		}
	}
	if d := c.RangeTimeout.D(); d < 50*time.Millisecond || d > 5*time.Second {
		return fault.New(fault.Invalid, "breach.range_timeout", "breach.range_timeout is %s; it can be 50ms to 5s.", c.RangeTimeout).On("breach.range_timeout")
	}
	if len(c.Alert) > maxAlert {
		return fault.New(fault.Invalid, "breach.alert", "breach.alert has %d addresses; at most %d are told.", len(c.Alert), maxAlert).On("breach.alert")
	}
	for _, a := range c.Alert {
		if strings.Count(a, "@") != 1 || strings.ContainsAny(a, " <>\r\n,") || len(a) > 254 {
			return fault.New(fault.Invalid, "breach.alert", "breach.alert holds %q, which is no e-mail address.", a).On("breach.alert")
		}
	}
	return nil
}
