package factor

import "troth/internal/config"

// Config is the section [factor].
type Config struct {
	MailedCodes bool `toml:"mailed_codes" doc:"Whether people may have a code mailed to them at sign-in. It is the weakest there is and never counts as a second factor (NIST SP 800-63B-4, 3.1.3.1); where another one is set up, it is not offered."`
}

// Defaults are the settings of an installation that sets nothing.
func Defaults() Config { return Config{MailedCodes: true} }

// Sections describes the keys.
func (c *Config) Sections() []config.Section {
	return []config.Section{{Name: "factor", Value: c, Doc: "Second factors. Passkeys, authenticator apps and recovery codes need no setting; for text messages see [sms] and [[plan]]."}}
}
