package plug

import (
	"troth/internal/config"
	"troth/internal/fault"
)

// Config is the section [log].
type Config struct {
	KeepMonths         int `toml:"keep_months" doc:"For how many months events can be read. Older ones are destroyed month by month, with their key; the log stays verifiable. 1 to 120."`
	KeepRequestsMonths int `toml:"keep_requests_months" doc:"The same for the record of requests. 1 to 120."`
}

// Defaults keep a year and a month of events, so that a yearly review finds
// all of its year, and a quarter of requests.
func Defaults() Config { return Config{KeepMonths: 13, KeepRequestsMonths: 3} }

// Sections describes the configuration to package config.
func (c *Config) Sections() []config.Section {
	return []config.Section{{Name: "log", Doc: "How long the log can be read. What is in it can be proven for ever.", Value: c, Check: c.check}}
}

func (c *Config) check() error {
	for key, v := range map[string]int{"log.keep_months": c.KeepMonths, "log.keep_requests_months": c.KeepRequestsMonths} {
		if v < 1 || v > 120 {
			return fault.New(fault.Invalid, "audit.keep", "%s is %d; it can be 1 to 120 months.", key, v).On(key)
		}
	}
	return nil
}
