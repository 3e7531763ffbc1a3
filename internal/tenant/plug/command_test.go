package plug

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"troth/internal/cli"
	"troth/internal/fault"
	"troth/internal/tenant"
)

// host is an opened installation.
type host struct{ tenants *tenant.Tenants }

func (h host) Tenants() *tenant.Tenants { return h.tenants }

// types runs one verb of `troth tenant` and returns what it prints.
func (h *house) types(t *testing.T, dryRun, inJSON bool, words ...string) (string, error) {
	t.Helper()
	for _, c := range commands()[0].Sub {
		if strings.Fields(c.Use)[0] != words[0] {
			continue
		}
		if !c.NeedsData || c.Destroys != (words[0] == "destroy") {
			t.Errorf("%s: needs data %v, destroys %v", c.Use, c.NeedsData, c.Destroys)
		}
		var out bytes.Buffer
		err := c.Run(context.Background(), &cli.Env{Stdout: &out, Stderr: &out, JSON: inJSON, DryRun: dryRun, App: host{h.tenants}}, words[1:])
		return out.String(), err
	}
	t.Fatalf("there is no verb %s", words[0])
	return "", nil
}

func TestCommands(t *testing.T) {
	h := furnished(t)
	org := string(h.owner.org)

	out, err := h.types(t, false, false, "list")
	if err != nil || strings.Count(out, "\n") != 7 || !strings.Contains(out, org+"  organisation") || strings.Contains(out, "Hopper") || strings.Contains(out, "@") {
		t.Errorf("list: %v\n%s", err, out)
	}
	out, err = h.types(t, false, true, "list")
	var all []sized
	if json.Unmarshal([]byte(out), &all) != nil || err != nil || len(all) != 6 {
		t.Errorf("list --json: %v\n%s", err, out)
	}
	out, err = h.types(t, false, false, "show", org)
	if err != nil || !strings.Contains(out, "people   4\n") || strings.Contains(out, "Hopper") {
		t.Errorf("show: %v\n%s", err, out)
	}
	for _, verb := range []string{"show", "destroy"} {
		for _, bad := range []string{"", "nonsense", "ten_00000000000000000000000001", "acc_00000000000000000000000000"} {
			if _, err := h.types(t, false, false, verb, bad); fault.KindOf(err) != fault.NotFound {
				t.Errorf("%s %q: %v", verb, bad, err)
			}
		}
	}
	if out, err := h.types(t, false, false, "plan", org, "business"); err != nil || out != org+" is on the plan business.\n" {
		t.Errorf("plan: %v\n%s", err, out)
	}
	if out, err := h.types(t, false, true, "show", org); err != nil || !strings.Contains(out, `"plan":"business"`) {
		t.Errorf("show, on a plan: %v\n%s", err, out)
	}
	if _, err := h.types(t, false, false, "plan", org, "gold"); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "business, and none") {
		t.Errorf("a plan that is none: %v", err)
	}
	if out, err := h.types(t, false, true, "plan", org, "none"); err != nil || !strings.Contains(out, `"plan":"none"`) {
		t.Errorf("off the plan: %v\n%s", err, out)
	}
	out, err = h.types(t, true, false, "destroy", org)
	if err != nil || !strings.Contains(out, "would lose 4 people") || !strings.Contains(h.owner.get("/-/org/").Body, "Hopper") {
		t.Errorf("destroy --dry-run: %v\n%s", err, out)
	}
	out, err = h.types(t, false, false, "destroy", org)
	if err != nil || !strings.Contains(out, "was destroyed") {
		t.Errorf("destroy: %v\n%s", err, out)
	}
	for _, s := range []*somebody{h.owner, h.admin, h.viewer} {
		if p := s.get("/-/org/"); p.Status != 200 || strings.Contains(p.Body, "Hopper") {
			t.Errorf("%s, after the destruction, with the next request: %d\n%s", s.name, p.Status, words(p))
		}
	}
	if _, err := h.types(t, false, false, "show", org); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a destroyed organisation is still shown: %v", err)
	}
	if err := commands()[0].Sub[0].Run(context.Background(), &cli.Env{App: 7}, nil); err == nil {
		t.Error("a command runs on an installation without tenants")
	}
}
