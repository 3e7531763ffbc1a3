package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/web"
)

// snippet takes a program out of docs/assertion.md.
func snippet(t *testing.T, language string) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/assertion.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(b)
	if m == nil {
		t.Fatalf("docs/assertion.md has no program in %s", language)
	}
	return string(m[1])
}

// TestTheProgramsInTheDocumentation runs them behind a real front door: they
// believe what Troth says, and nothing that anybody else does.
func TestTheProgramsInTheDocumentation(t *testing.T) {
	for language, run := range map[string]func(t *testing.T, dir, code string) *exec.Cmd{
		"go": func(t *testing.T, dir, code string) *exec.Cmd {
			file, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "app")
			write(t, file, code)
			if out, err := exec.Command("go", "build", "-o", binary, file).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			return exec.Command(binary)
		},
		"js": func(t *testing.T, dir, code string) *exec.Cmd {
			file := filepath.Join(dir, "app.mjs")
			write(t, file, code)
			return exec.Command("node", file)
		},
	} {
		t.Run(language, func(t *testing.T) { behindDoor(t, language, run) })
	}
}

func write(t *testing.T, file, code string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func behindDoor(t *testing.T, language string, run func(t *testing.T, dir, code string) *exec.Cmd) {
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	origin, app := "https://localhost:"+port, freeAddress(t)
	var h *house
	h = build(t, nil, func(o *Options) {
		o.Origin, o.Upstream = origin, &url.URL{Scheme: "http", Host: app}
		o.Signer = nil
		o.Routes = append(o.Routes[:len(o.Routes):len(o.Routes)], web.Route{Method: "GET", Path: "/-/jwks.json", Public: "a test", Handle: func(r *web.Request) error {
			set, _ := h.signer.JWKS()
			return r.JSON(json.RawMessage(set))
		}})
	}, func(o *Options) {
		o.Signer, err = OpenSigner(context.Background(), SignerOptions{Issuer: origin, Keys: ringOf{}, Book: &bookOf{}, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
	})
	h.signer = h.edge.o.Signer
	h.serve(front)
	cmd := run(t, t.TempDir(), snippet(t, language))
	ca := filepath.Join(h.dir, "ca.pem")
	cmd.Env = append(os.Environ(), "TROTH="+origin, "LISTEN="+app, "SSL_CERT_FILE="+ca, "NODE_EXTRA_CA_CERTS="+ca)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	h.must(cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed: its status says nothing
		if t.Failed() {
			t.Logf("the program said: %s", out.String())
		}
	})
	eventually(t, "the program listens", func() bool {
		c, err := net.Dial("tcp", app)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	cookie := h.signIn(access.Member)
	who := h.person(cookie)
	get := func(address, cookie, assertion string) (int, map[string]any) {
		t.Helper()
		req, err := http.NewRequest("GET", address, nil)
		h.must(err)
		req.Header.Set("Cookie", "__Host-troth="+cookie)
		if assertion != "" {
			req.Header.Set("Troth-Assertion", assertion)
		}
		client := h.client()
		if strings.HasPrefix(address, "http:") {
			client = http.DefaultClient
		}
		res, err := client.Do(req)
		h.must(err)
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		h.must(err)
		var said map[string]any
		if res.StatusCode == 200 {
			h.must(json.Unmarshal(b, &said))
		}
		return res.StatusCode, said
	}
	if status, said := get(origin+"/", cookie, "forged"); status != 200 || said["sub"] != string(who.Account) || said["tid"] != string(who.Tenant) || fmt.Sprint(said["roles"]) != "[member]" {
		t.Errorf("behind Troth: %d, %v", status, said)
	}
	subject, err := h.access.Person(t.Context(), who)
	h.must(err)
	good, err := h.signer.assertion(t.Context(), subject)
	h.must(err)
	other, err := OpenSigner(t.Context(), SignerOptions{Issuer: origin, Audience: "https://other.example", Keys: ringOf{}, Book: &bookOf{}, Now: time.Now})
	h.must(err)
	stranger, err := other.assertion(t.Context(), subject)
	h.must(err)
	aside := &Signer{o: h.signer.o, now: h.signer.now} // the right key, for somebody else
	aside.o.Audience = "https://other.example"
	aside.set.Store(h.signer.set.Load())
	elsewhere, err := aside.assertion(t.Context(), subject)
	h.must(err)
	past := &Signer{o: h.signer.o, now: func() time.Time { return time.Now().Add(-5 * time.Minute) }}
	past.set.Store(h.signer.set.Load())
	expired, err := past.assertion(t.Context(), subject)
	h.must(err)
	parts := strings.Split(good[0], ".")
	for name, c := range map[string]struct {
		assertion string
		want      int
	}{
		"good": {good[0], 200}, "none": {"", 401}, "nonsense": {"x.y.z", 401}, "another key": {stranger[0], 401}, "another audience": {elsewhere[0], 401},
		"expired": {expired[0], 401}, "without a signature": {parts[0] + "." + parts[1] + ".", 401}, "changed": {parts[0] + "." + parts[1] + "x." + parts[2], 401},
	} {
		if status, _ := get("http://"+app+"/", "", c.assertion); status != c.want {
			t.Errorf("past Troth, %s: %d, want %d", name, status, c.want)
		}
	}
}
