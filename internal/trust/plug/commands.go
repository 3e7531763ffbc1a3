package plug

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"troth/internal/cli"
	"troth/internal/fault"
	"troth/internal/trust"
	"troth/verify"
)

// installation is what `troth claims` needs of the opened installation.
type installation interface {
	Trust() *trust.Trust
	// Bench is the front door of this process, for exercising the claims without
	// a server that runs.
	Bench() (trust.Bench, error)
}

func commands() []cli.Command {
	return []cli.Command{
		{
			Use: "claims [ID...]", Short: "Show what is promised in public and how it stands; with --check, try it now",
			Long: "Show the claims of the trust page with their status. With --check, their checks are exercised now, through the front door, and the evidence is appended to the log. " +
				"Exits 3 when a claim is failing, or when a check failed or could not be exercised.",
			Example: "  troth claims\n  troth claims --check A1 J2",
			Flags: func(f *pflag.FlagSet) {
				f.Bool("check", false, "exercise the claims now")
			},
			Args: cobra.ArbitraryArgs, NeedsData: true, Run: runClaims,
		},
		{
			Use: "verify [ADDRESS|DIRECTORY]", Short: "Check a log, its evidence and its claims from outside",
			Long: "Fetch the public log of an installation, or read one that was exported, and check it on this machine: the signature, every entry and tile, the evidence, and whether the claims follow from it. " +
				"Nothing of it is asked of the installation but the files. Without --key the log's own key is believed: then it is shown to be consistent with itself, and nothing more. " +
				"With --proof, the proof of an event that somebody downloaded is checked too; that alone needs the key and no address. Exits 3 when something is found.",
			Example: "  troth verify https://localhost:8443 --ca data/ca.pem --key localhost:8443+0a1b2c3d+AZ…\n  troth verify --key localhost:8443+0a1b2c3d+AZ… --proof event.json",
			Flags: func(f *pflag.FlagSet) {
				f.String("ca", "", "file with the certificate of the authority to accept, PEM; none accepts the system's")
				f.String("key", "", "the log's key, NAME+HASH+BASE64, as it was learnt beforehand")
				f.String("proof", "", "file with the proof of an event, JSON")
				f.String("state", "", "file that remembers the checkpoint; the next run proves that the log continues it")
			},
			Args: cobra.MaximumNArgs(1), Run: runVerify,
		},
	}
}

func runClaims(ctx context.Context, env *cli.Env, ids []string) error {
	app, ok := env.App.(installation)
	if !ok {
		return errors.New("the installation has no claims")
	}
	if check, _ := env.Flags.GetBool("check"); check {
		return exercise(ctx, env, app, ids)
	}
	doc, err := app.Trust().Document(ctx)
	if err != nil {
		return err
	}
	if err := only(&doc, ids); err != nil {
		return err
	}
	failing := 0
	for _, c := range doc.Claims {
		if c.Status == verify.Failing {
			failing++
		}
	}
	err = env.Print(doc, func(t *cli.Table) {
		t.Head("claim", "status", "since", "checked", "sentence")
		for _, c := range doc.Claims {
			t.Row(c.ID, string(c.Status), when(c.Since), when(c.CheckedAt), c.Sentence)
		}
	})
	if err == nil && failing > 0 {
		err = cli.Findings("%d of %d claims are failing.", failing, len(doc.Claims))
	}
	return err
}

// only keeps the claims with these ids, all when there are none.
func only(d *verify.Document, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	var kept []verify.DocumentClaim
	for _, want := range ids {
		found := false
		for _, c := range d.Claims {
			if c.ID == want {
				kept, found = append(kept, c), true
			}
		}
		if !found {
			return fault.New(fault.NotFound, "trust.no_claim", "There is no claim %s. “troth claims” lists them.", want)
		}
	}
	d.Claims = kept
	return nil
}

// tried is the outcome of a check in JSON.
type tried struct {
	Claim    string               `json:"claim"`
	Check    string               `json:"check"`
	Passed   bool                 `json:"passed"`
	Error    string               `json:"error,omitempty"`
	Observed []verify.Observation `json:"observed"`
	Seconds  float64              `json:"seconds"`
	Evidence verify.Digest        `json:"evidence"`
}

func exercise(ctx context.Context, env *cli.Env, app installation, ids []string) error {
	bench, err := app.Bench()
	if err != nil {
		return err
	}
	outcomes, err := app.Trust().Exercise(ctx, bench, ids...)
	if err != nil {
		return err
	}
	list, bad := []tried{}, 0
	for _, o := range outcomes {
		list = append(list, tried{o.Claim, o.Check, o.Passed, o.Error, o.Observed, o.Took.Seconds(), o.Digest})
		if !o.Passed {
			bad++
		}
	}
	err = env.Print(list, func(t *cli.Table) {
		t.Head("claim", "check", "result", "took", "evidence")
		for _, o := range list {
			t.Row(o.Claim, o.Check, o.result(), fmt.Sprintf("%.2f s", o.Seconds), o.Evidence)
		}
		for _, o := range list {
			for _, why := range o.why() {
				t.Line("%s: %s", o.Check, why)
			}
		}
	})
	if err == nil && bad > 0 {
		err = cli.Findings("%d of %d checks did not pass.", bad, len(list))
	}
	return err
}

func (o tried) result() string {
	switch {
	case o.Error != "":
		return "could not be exercised"
	case o.Passed:
		return "passed"
	}
	return "failed"
}

func (o tried) why() []string {
	if o.Error != "" {
		return []string{o.Error}
	}
	if o.Passed {
		return nil
	}
	var out []string
	for _, s := range o.Observed {
		if s.Expected != s.Seen {
			out = append(out, fmt.Sprintf("%s: expected %s, seen %s", s.What, s.Expected, s.Seen))
		}
	}
	return out
}

// verdict is what `troth verify` found out.
type verdict struct {
	*verify.Report
	Proof  *proven `json:"proof,omitempty"`
	OK     bool    `json:"ok"`
	Notice string  `json:"notice,omitempty"`
}

// proven is what a checked proof shows, in JSON.
type proven struct {
	Event    string           `json:"event"`
	Class    string           `json:"class"`
	At       string           `json:"at"`
	Tenant   string           `json:"tenant"`
	Sections []verify.Section `json:"sections"`
	Entry    int64            `json:"entry"`
	Size     int64            `json:"size"`
}

const selfConsistent = "No key was given: the log is shown to be self-consistent only. Give --key with a key that you learnt another way."

func runVerify(ctx context.Context, env *cli.Env, args []string) error {
	text := func(name string) string { s, _ := env.Flags.GetString(name); return s }
	var key *verify.Key
	if s := text("key"); s != "" {
		k, err := verify.ParseKey(s)
		if err != nil {
			return fault.Wrap(err, fault.Invalid, "trust.key", "The key is not of the form NAME+HASH+BASE64. Copy it from where you learnt it, whole.")
		}
		key = &k
	}
	v := verdict{OK: true}
	if len(args) == 0 && text("proof") == "" {
		return cli.Usage("give an address such as https://localhost:8443, a directory with an exported log, or --proof FILE")
	}
	if len(args) == 1 {
		r, err := examine(ctx, env, args[0], text("ca"), text("state"), key)
		if err != nil {
			return err
		}
		v.Report, v.OK = r, r.OK()
		if key == nil {
			v.Notice = selfConsistent
		}
	} else {
		v.Report = &verify.Report{Pinned: true, Findings: []verify.Finding{}}
	}
	if path := text("proof"); path != "" {
		if err := checkProof(&v, path, key); err != nil {
			return err
		}
	}
	if err := env.Print(v, func(t *cli.Table) { v.draw(t, len(args) == 1) }); err != nil {
		return err
	}
	if !v.OK {
		return cli.Findings("%d findings.", len(v.Findings)+v.More)
	}
	return nil
}

// examine reads a website or a directory.
func examine(ctx context.Context, env *cli.Env, from, ca, state string, key *verify.Key) (*verify.Report, error) {
	progress := map[string]*cli.Progress{"entries": env.Progress("Entries"), "evidence": env.Progress("Evidence")}
	o := verify.Options{State: state, Progress: func(stage string, done, total int64) { progress[stage].Set(int(done), int(total)) }}
	defer progress["entries"].Done()
	if !strings.Contains(from, "://") {
		dir, err := verify.OpenDirectory(from)
		if err != nil {
			return nil, fault.Wrap(err, fault.NotFound, "trust.no_directory", "%s is neither an https address nor a directory with an exported log.", from)
		}
		defer dir.Close()
		return told(verify.Log(ctx, dir, key, o))
	}
	var pem []byte
	if ca != "" {
		var err error
		if pem, err = os.ReadFile(ca); err != nil {
			return nil, fault.Wrap(err, fault.NotFound, "trust.no_ca", "The file %s with the authority's certificate cannot be read.", ca)
		}
	}
	site, err := verify.OpenWebsite(from, pem)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "trust.address", "%s", sentence(err))
	}
	o.NeedDocument = true
	return told(verify.Log(ctx, site, key, o))
}

// told makes an examination that could not be made a sentence for the person
// who asked for it.
func told(r *verify.Report, err error) (*verify.Report, error) {
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "trust.not_examined", "It could not be examined: %s", sentence(err))
	}
	if r.Findings == nil {
		r.Findings = []verify.Finding{}
	}
	return r, nil
}

// checkProof adds the verdict on the proof of an event.
func checkProof(v *verdict, path string, key *verify.Key) error {
	if key == nil {
		return fault.New(fault.Invalid, "trust.proof_key", "A proof shows nothing without the log's key: give --key.")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return fault.Wrap(err, fault.NotFound, "trust.no_proof", "The file %s with the proof cannot be read.", path)
	}
	p, err := verify.ParseEventProof(b)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "trust.proof", "The file %s holds no proof: %s", path, sentence(err))
	}
	shown, err := p.Check(*key)
	if f, ok := errors.AsType[*verify.Finding](err); ok {
		v.Findings, v.OK = append(v.Findings, *f), false
		return nil
	}
	if err != nil {
		return err
	}
	v.Proof = &proven{Event: shown.Leaf.Event, Class: shown.Leaf.Class, At: shown.Leaf.At.Format("2006-01-02T15:04:05.000000Z"), Tenant: shown.Tenant.Origin,
		Sections: p.Sections, Entry: shown.EntryIndex, Size: shown.Platform.Size}
	return nil
}

func sentence(err error) string {
	s := err.Error()
	return strings.ToUpper(s[:1]) + s[1:] + "."
}
