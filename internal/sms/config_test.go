package sms

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"troth/internal/config"
	"troth/internal/fault"
)

func TestConfig(t *testing.T) {
	good := func(c Config) Config {
		c.PerHour, c.Timeout, c.Countries, c.SecretFile = 10, config.Duration(time.Second), []string{"+49"}, "file"
		return c
	}
	hook := hookConfig
	hook.URL = "https://texts.example/send"
	for _, c := range []Config{Defaults(), good(twilioConfig), good(vonageConfig), good(snsConfig), good(hook)} {
		if err := c.check(); err != nil {
			t.Errorf("%s: %v", c.Driver, err)
		}
	}
	for key, change := range map[string]func(*Config){
		"driver":      func(c *Config) { c.Driver = "pigeon" },
		"countries":   func(c *Config) { c.Countries = nil },
		"countries ":  func(c *Config) { c.Countries = []string{"49"} },
		"per_hour":    func(c *Config) { c.PerHour = 0 },
		"timeout":     func(c *Config) { c.Timeout = config.Duration(time.Minute) },
		"secret_file": func(c *Config) { c.SecretFile = "" },
		"account":     func(c *Config) { c.Account = "AC1" },
		"from":        func(c *Config) { c.From = "" },
		"from ":       func(c *Config) { c.From = "a very long name" },
		"url":         func(c *Config) { c.URL = "http://texts.example/" },
		"url ":        func(c *Config) { c.URL = "https://user:word@texts.example/" },
		"driver ":     func(c *Config) { c.Driver = "" },
		"url  ":       func(c *Config) { c.Driver = DriverWebhook },
		"key":         func(c *Config) { c.Driver = DriverVonage },
		"region":      func(c *Config) { c.Driver, c.Key, c.Region = DriverSNS, "AKID", "Europe" },
		"key ":        func(c *Config) { c.Driver = DriverSNS },
	} {
		c := good(twilioConfig)
		change(&c)
		f := fault.As(c.check())
		if f == nil || f.Kind != fault.Invalid || f.Field != "sms."+strings.TrimSpace(key) {
			t.Errorf("%s: %v", key, f)
		}
	}
}

func TestSecretFiles(t *testing.T) {
	c := twilioConfig
	c.SecretFile = filepath.Join(t.TempDir(), "secret")
	if _, err := c.Sender(); fault.KindOf(err) != fault.Invalid {
		t.Errorf("without the file: %v", err)
	}
	if err := os.WriteFile(c.SecretFile, []byte(hush), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Sender(); fault.KindOf(err) != fault.Invalid || strings.Contains(err.Error(), hush) {
		t.Errorf("a file that others may read: %v", err)
	}
	none := Config{}
	if s, err := none.Sender(); s != nil || err != nil {
		t.Errorf("without a driver: %v, %v", s, err)
	}
	for address, host := range map[string]string{"https://texts.example:8443/x": "texts.example", "https://texts.example": "texts.example", ":": ""} {
		if hostOf(address) != host {
			t.Errorf("%s: %q", address, hostOf(address))
		}
	}
}
