package place

import (
	"path/filepath"

	"troth/internal/config"
	"troth/internal/fault"
)

// Config is the section [place].
type Config struct {
	DatabaseFile string `toml:"database_file" doc:"A GeoIP database in the MaxMind format on this machine, as /var/lib/GeoIP/GeoLite2-City.mmdb (City, Country or ASN). It is read again when it changes. Empty: sessions and mails show the address."`
}

// Sections describes the configuration to package config.
func (c *Config) Sections() []config.Section {
	return []config.Section{{
		Name: "place", Doc: "Where sign-ins come from, as people read it. Nothing is asked over the network.", Value: c, Check: c.check,
	}}
}

// check refuses what depends on where the program was started. That the file
// exists is no condition: without it the service goes on.
func (c *Config) check() error {
	if c.DatabaseFile == "" || filepath.IsAbs(c.DatabaseFile) {
		return nil
	}
	return fault.New(fault.Invalid, "place.relative", "place.database_file is %q; write the whole path, beginning with a slash.", c.DatabaseFile).On("place.database_file")
}
