package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"troth/internal/config"
	"troth/internal/fault"
)

type top struct {
	Upstream string   `toml:"upstream" doc:"Where the application listens."`
	Trusted  []string `toml:"trusted" doc:"Proxies whose word about the client's address counts."`
}

type session struct {
	Idle  config.Duration `toml:"idle" doc:"A session that is not used for so long ends."`
	Limit int             `toml:"limit" doc:"So many sessions an account."`
	On    bool            `toml:"on" doc:"Whether."`
}

type route struct {
	Path   string `toml:"path" doc:"a path; one that ends in / covers what is below it"`
	Access string `toml:"access" doc:"public, signed-in, or a permission"`
}

type all struct {
	top     top
	session session
	routes  []route
}

func (a *all) sections() []config.Section {
	return []config.Section{
		{Doc: "The installation.", Value: &a.top},
		{Name: "session", Doc: "How long a session lasts.", Value: &a.session, Check: func() error {
			if a.session.Idle < config.Duration(time.Minute) {
				return fault.New(fault.Invalid, "session.short", "session.idle is under a minute.").On("session.idle")
			}
			return nil
		}},
		{Name: "route", Doc: "Routes of the application.", Value: &a.routes},
	}
}

func defaults() *all { return &all{session: session{Idle: config.Duration(12 * time.Hour), Limit: 5}} }

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "troth.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadReadsFileThenEnvironment(t *testing.T) {
	a := defaults()
	path := write(t, "upstream = \"http://127.0.0.1:9000\"\n[session]\nidle = \"30m\"\n[[route]]\npath = \"/hooks/\"\naccess = \"public\"\n")
	env := []string{"HOME=/x", "TROTH_SESSION_LIMIT=9", "TROTH_SESSION_ON=true", "TROTH_TRUSTED=10.0.0.1, 10.0.0.2"}
	if err := config.Load(path, env, a.sections()...); err != nil {
		t.Fatal(err)
	}
	if a.top.Upstream != "http://127.0.0.1:9000" || a.session.Idle.D() != 30*time.Minute || a.session.Limit != 9 || !a.session.On {
		t.Errorf("read %+v", a)
	}
	if len(a.routes) != 1 || a.routes[0].Path != "/hooks/" || len(a.top.Trusted) != 2 || a.top.Trusted[1] != "10.0.0.2" {
		t.Errorf("read %+v", a)
	}
}

func TestLoadRefusesWithPlaceAndRemedy(t *testing.T) {
	for name, c := range map[string]struct {
		file, env string
		want      []string
	}{
		"unknown key":      {file: "upstraem = \"x\"\n", want: []string{"line 1", `"upstraem"`, "config explain"}},
		"unknown section":  {file: "[sesion]\nidle = \"1h\"\n", want: []string{"sesion"}},
		"unknown in array": {file: "[[route]]\npath = \"/\"\nacess = \"public\"\n", want: []string{"line 3", "acess"}},
		"wrong type":       {file: "[session]\nlimit = \"many\"\n", want: []string{"line 2", "session.limit"}},
		"bad span":         {file: "[session]\nidle = \"soon\"\n", want: []string{"line 2", "90s"}},
		"not TOML":         {file: "upstream = \n", want: []string{"line 1"}},
		"unknown variable": {env: "TROTH_SESION_IDLE=1h", want: []string{"TROTH_SESION_IDLE", "unset"}},
		"bad variable":     {env: "TROTH_SESSION_LIMIT=many", want: []string{"TROTH_SESSION_LIMIT"}},
		"a check":          {file: "[session]\nidle = \"1s\"\n", want: []string{"under a minute"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := defaults()
			err := config.Load(write(t, c.file), []string{c.env}, a.sections()...)
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("got %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(fault.As(err).Message.String(), w) {
					t.Errorf("%q does not mention %q", fault.As(err).Message, w)
				}
			}
		})
	}
}

func TestAWrongTypeIsToldWithoutGoTypes(t *testing.T) {
	a := defaults()
	err := config.Decode("troth.toml", []byte("upstream = 12\n"), a.sections()...)
	if f := fault.As(err); f == nil || strings.Contains(f.Message.String(), "struct") || !strings.Contains(f.Message.String(), "line 1") {
		t.Errorf("got %v", fault.As(err).Message)
	}
}

func TestDescribeListsEveryKey(t *testing.T) {
	a := defaults()
	a.routes = []route{{"/hooks/", "public"}}
	found := map[string]config.Key{}
	for _, k := range config.Describe(a.sections()...) {
		found[k.Name] = k
	}
	if k := found["session.idle"]; k.Variable != "TROTH_SESSION_IDLE" || k.Doc == "" || k.Value != config.Duration(12*time.Hour) {
		t.Errorf("session.idle is %+v", k)
	}
	if k := found["route[].path"]; k.Variable != "" || len(k.Value.([]any)) != 1 {
		t.Errorf("route[].path is %+v", k)
	}
}

func TestAFileWithAnErrorChangesNothing(t *testing.T) {
	a := defaults()
	if err := config.Decode("x", []byte("[session]\nlimit = 7\nidle = \"soon\"\n"), a.sections()...); err == nil {
		t.Fatal("read")
	}
	if a.session.Limit != 5 {
		t.Errorf("limit is %d", a.session.Limit)
	}
}

func TestMissingFileSaysHowToGetOne(t *testing.T) {
	err := config.Load(filepath.Join(t.TempDir(), "none.toml"), nil, defaults().sections()...)
	if fault.As(err) == nil || !strings.Contains(err.Error(), "troth init") {
		t.Errorf("got %v", err)
	}
}

func TestExplainedFileReadsBackAsItself(t *testing.T) {
	a := defaults()
	a.top.Upstream = "http://127.0.0.1:9000"
	a.routes = []route{{"/hooks/", "public"}}
	var b strings.Builder
	if err := config.Explain(&b, map[string]bool{"upstream": true, "route": true}, a.sections()...); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nupstream = 'http://127.0.0.1:9000'", "# idle = '12h'", "[[route]]", "# A session that is not used for so long ends."} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
	again := defaults()
	if err := config.Decode("x", []byte(b.String()), again.sections()...); err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	if again.top.Upstream != a.top.Upstream || len(again.routes) != 1 || again.session != a.session {
		t.Errorf("read back %+v", again)
	}
}

func TestReadSecret(t *testing.T) {
	path := write(t, "s3cret\n")
	s, err := config.ReadSecret("mail.password_file", path)
	if err != nil || s.Reveal() != "s3cret" {
		t.Fatalf("%v %v", s.Reveal(), err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := config.ReadSecret("mail.password_file", path); fault.As(err) == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others read gave %v", err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(path))
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	if s, err := config.ReadSecret("mail.password_file", "troth.toml"); err != nil || s.Reveal() != "s3cret" {
		t.Errorf("by credential: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("upstream = \"x\"\n[session]\nidle = \"1h\"\n[[route]]\npath = \"/\"\n")
	f.Add("session = 3")
	f.Add("[[session]]")
	f.Fuzz(func(t *testing.T, s string) {
		a := defaults()
		if err := config.Decode("fuzz", []byte(s), a.sections()...); err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%v", err)
		}
	})
}
