package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"troth/internal/cli"
	"troth/internal/config"
	"troth/internal/fault"
)

func initFlags(f *pflag.FlagSet) {
	f.String("listen", "", "the `address` that serve listens on")
	f.String("origin", "", "the `URL` that browsers see")
	f.String("upstream", "", "the `URL` of your application")
	f.String("service", "", "the `name` of your service")
	f.String("environment", development, "development or production")
}

// runInit makes an installation that serve can start: the directory, the root
// key, the configuration, the database and the local authority. What is there
// already is left as it is.
func runInit(ctx context.Context, env *cli.Env, _ []string) error {
	path := filepath.Join(env.DataDir, "troth.toml")
	if _, err := os.Lstat(path); err == nil {
		return fault.New(fault.Conflict, "app.exists", "There is an installation in %s already; nothing was changed. Start it with “troth serve --data %s”.", env.DataDir, env.DataDir)
	}
	set := defaults(env.DataDir)
	given, err := fromFlags(env.Flags, set)
	if err != nil {
		return err
	}
	if err := set.checkSite(); err != nil {
		return err
	}
	set.adapt(set.site.Environment)
	if _, err := makeData(set); err != nil {
		return err
	}
	if err := writeConfig(path, set, given); err != nil {
		return err
	}
	if err := set.load(path, os.Environ(), nil); err != nil {
		env.Say("The root key and %s are made. Before it can serve, the configuration needs more:", path)
		return err
	}
	in, err := open(ctx, set, options{now: time.Now, log: env.Log})
	if err != nil {
		return err
	}
	if err := in.Close(); err != nil {
		return err
	}
	answer := struct {
		Data      string `json:"data"`
		Config    string `json:"config"`
		Authority string `json:"authority"`
		RootKey   string `json:"root_key"`
		VKey      string `json:"vkey"`
	}{set.Data, path, in.authorityPath(), set.rootDir(), in.audit.VKey()}
	return env.Print(answer, func(t *cli.Table) {
		t.Line("An installation is made.")
		t.Row("configuration", answer.Config)
		t.Row("root key", answer.RootKey+"   (keep a copy elsewhere: without it nothing can be read)")
		t.Row("authority", answer.Authority)
		t.Row("log's key", answer.VKey)
		t.Line("Start it with: troth serve --data %s", set.Data)
	})
}

// fromFlags sets what was given on the command line and says which keys those
// are, so that the written file has them without the comment sign.
func fromFlags(f *pflag.FlagSet, s *Settings) (map[string]bool, error) {
	given := map[string]bool{"environment": true}
	for name, to := range map[string]*string{
		"listen": &s.site.Listen, "origin": &s.site.Origin, "upstream": &s.site.Upstream,
		"service": &s.site.Service, "environment": &s.site.Environment,
	} {
		if !f.Changed(name) {
			continue
		}
		v, err := f.GetString(name)
		if err != nil {
			return nil, err
		}
		*to, given[name] = v, true
	}
	return given, nil
}

func writeConfig(path string, s *Settings, given map[string]bool) error {
	var b strings.Builder
	if err := config.Explain(&b, given, s.sections()...); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "app.config_file", "The file %s cannot be written: %v.", path, reason(err))
	}
	_, err = f.WriteString(b.String())
	return errors.Join(err, f.Close())
}
