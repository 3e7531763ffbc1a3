package app

import (
	"context"
	crand "crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"troth/internal/access"
	"troth/internal/account"
	"troth/internal/audit"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/trust"
)

// differs is below which probability two samples of times are told apart. It
// counts only when it happens in two rounds, with other addresses in each: of
// five forms and two tests on each, chance does that once in 10¹⁰ runs, and a
// leftover of some percent of a request that costs nothing but its database does
// it no more often than that. The leaks that this test has found (a mail that is
// queued or not, a refusal that is written or counted) had 10⁻⁸ to 10⁻²⁹.
const differs = 1e-6

// tries is how often each form is sent about either kind of address in a round.
const tries = 500

// population is how many people have accounts: more than are asked about in
// two rounds of a form, so that no bound on mails is met.
const population = 2 * tries

// populate makes people with accounts, past the front door.
func (h *house) populate(n int) (known []string) {
	h.t.Helper()
	ctx := h.t.Context()
	stranger := func() access.Subject {
		return access.Nobody(audit.Context{IP: netip.AddrFrom4([4]byte{198, 51, 100, byte(rand.IntN(256))})})
	}
	for i := range n {
		email, browser := addressOf(fmt.Sprintf("p%04d-known-0", i)), secret.NewToken()
		since := h.clock.now()
		_, err := h.in.accounts.SignUp(ctx, stranger(), account.Application{Email: email, Name: "Somebody", Password: secret.Of(passwordOf("somebody")), Browser: browser})
		if err != nil {
			h.t.Fatal(err)
		}
		link := h.linkIn(h.letter(email, since))
		token := secret.Of(link[strings.LastIndexByte(link, '/')+1:])
		if _, err := h.in.accounts.Confirm(ctx, stranger(), token, account.Confirmation{Browser: browser}); err != nil {
			h.t.Fatal(err)
		}
		known = append(known, email)
	}
	return known
}

// light hashes with Argon2id at a hundredth of the usual cost, and does the same
// work for an account that is not there, as the real one does.
type light struct{}

func (light) tag(salt []byte, p secret.String) []byte {
	return argon2.IDKey([]byte(p.Reveal()), salt, 1, 1<<10, 1, 32)
}

func (l light) Hash(_ context.Context, p secret.String) (string, error) {
	salt := make([]byte, 16)
	crand.Read(salt)
	return hex.EncodeToString(append(salt, l.tag(salt, p)...)), nil
}

func (l light) Verify(_ context.Context, stored string, p secret.String) (password.Verdict, error) {
	known := len(stored) == 96
	if !known {
		stored = strings.Repeat("00", 48)
	}
	b, err := hex.DecodeString(stored)
	if err != nil {
		return password.Verdict{}, err
	}
	match := subtle.ConstantTimeCompare(l.tag(b[:16], p), b[16:]) == 1
	return password.Verdict{Match: known && match}, nil
}

// forms are what a stranger can send about an address.
var forms = map[string]struct {
	path   string
	fields func(email string) []string
}{
	"sign-in": {"/-/signin", func(e string) []string { return []string{"email", e, "password", "otter over basalt Zk3"} }},
	"sign-up": {"/-/signup", func(e string) []string {
		return []string{"email", e, "name", "Somebody", "password", "otter over basalt Zk3"}
	}},
	"unlock":  {"/-/unlock", func(e string) []string { return []string{"email", e} }},
	"resend":  {"/-/signup", func(e string) []string { return []string{"email", e, "name", "S", "password", "otter over basalt Zk3"} }},
	"reset":   {"/-/reset", func(e string) []string { return []string{"email", e} }},
	"recover": {"/-/recover", func(e string) []string { return []string{"email", e} }},
}

// changing are the parts of an answer that are never the same twice.
var changing = regexp.MustCompile(`req_[0-9a-z]{26}|nonce-[A-Za-z0-9+/_=-]+|nonce="[^"]*"`)

// gist is everything that an answer tells: status, headers, the shape of the
// cookies, and the body, without what is never the same twice.
func gist(p *trust.Page, email string) string {
	var b strings.Builder
	fmt.Fprintln(&b, p.Status)
	var names []string
	for name := range p.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range p.Header[name] {
			switch name {
			case "Date":
				v = "a date"
			case "Set-Cookie":
				c, err := http.ParseSetCookie(v)
				if err != nil {
					v = "no cookie"
					break
				}
				v = strings.ReplaceAll(v, c.Value, fmt.Sprintf("%d characters", len(c.Value)))
			}
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	b.WriteString(p.Body)
	return strings.ReplaceAll(changing.ReplaceAllString(b.String(), "…"), email, "ADDRESS")
}

// TestNothingTellsWhoIsKnown sends every form that strangers can send about an
// address, for addresses that have an account and for some that have none, in
// random order, and compares all that a stranger gets: the answer to the byte,
// and how long it took, by two tests on the times of 500 tries each. A password
// costs a hundredth of what it costs in earnest, so that no difference hides
// behind the noise of a hash.
func TestNothingTellsWhoIsKnown(t *testing.T) {
	h := plan(t, func(s *Settings) { s.account.Guessing.NetworkBurst, s.account.Guessing.CrowdBurst = 100_000, 1_000_000 })
	h.o.hashing = light{}
	h.serve()
	known := h.populate(population)
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			h.t = t
			for round := range 2 {
				in, out := h.ask(form.path, form.fields, name, round, known[round*tries:(round+1)*tries])
				p := differ(in, out)
				t.Logf("round %d: median %.3f ms known, %.3f ms unknown; p = %.2g", round+1, median(in), median(out), p)
				if p >= differs {
					return
				}
			}
			t.Errorf("the time of a %s tells who has an account, in two rounds of %d tries", name, tries)
		})
	}
}

func median(x []float64) float64 { return slices.Sorted(slices.Values(x))[len(x)/2] }

// crowd is browsers in many networks, so that no limit on a network is met.
func (h *house) crowd() []*trust.Visitor {
	h.t.Helper()
	var all []*trust.Visitor
	for i := range 250 {
		v, err := h.bench().Visitor(netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i)}))
		if err != nil {
			h.t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// ask sends a form about known and unknown addresses in random order, and
// returns how many milliseconds each took.
func (h *house) ask(path string, fields func(string) []string, name string, round int, known []string) (in, out []float64) {
	h.t.Helper()
	visitors := h.crowd()
	say := map[bool]string{}
	for i, email := range known {
		unknown := addressOf(fmt.Sprintf("p%04d-%s-%d", i, (name + "-----")[:5], round))
		order := []string{email, unknown}
		rand.Shuffle(2, func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, each := range order {
			began := time.Now()
			p, err := visitors[rand.IntN(len(visitors))].Post(h.t.Context(), path, fields(each)...)
			took := time.Since(began).Seconds() * 1000
			if err != nil {
				h.t.Fatal(err)
			}
			is := each == email
			if say[is] == "" {
				say[is] = gist(p, each)
			}
			if g := gist(p, each); g != say[true] && say[true] != "" || g != say[false] && say[false] != "" {
				h.t.Fatalf("the answers differ:\n%s\n---\n%s\n---\n%s", g, say[true], say[false])
			}
			if is {
				in = append(in, took)
			} else {
				out = append(out, took)
			}
		}
	}
	return in, out
}

// TestLockOutTellsNothing guesses at one address that has an account and at one
// that has none, from many networks, far into the pauses: each pair of answers is
// the same, and in the pause so is the time that they take, whether the password
// would have been right or not.
func TestLockOutTellsNothing(t *testing.T) {
	h := plan(t, func(s *Settings) { s.account.Guessing.NetworkBurst, s.account.Guessing.CrowdBurst = 100_000, 1_000_000 })
	h.o.hashing = light{}
	h.serve()
	known := h.populate(1)[0]
	unknown := addressOf("p0000-nobod-0")
	visitors := h.crowd()
	guess := func(email, password string) (*trust.Page, float64) {
		t.Helper()
		began := time.Now()
		p, err := visitors[rand.IntN(len(visitors))].Post(t.Context(), "/-/signin", "email", email, "password", password)
		if err != nil {
			t.Fatal(err)
		}
		return p, time.Since(began).Seconds() * 1000
	}
	for i := range 20 {
		in, _ := guess(known, "otter over basalt Zk3")
		out, _ := guess(unknown, "otter over basalt Zk3")
		if gist(in, known) != gist(out, unknown) {
			t.Fatalf("after %d wrong guesses the answers differ:\n%s\n---\n%s", i, gist(in, known), gist(out, unknown))
		}
	}
	for round := range 2 {
		times := map[string][]float64{}
		for range tries {
			all := []struct{ what, email, password string }{
				{"wrong", known, "otter over basalt Zk3"}, {"right", known, passwordOf("somebody")}, {"unknown", unknown, "otter over basalt Zk3"},
			}
			rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			said := ""
			for _, each := range all {
				p, took := guess(each.email, each.password)
				if p.Status != http.StatusUnauthorized {
					t.Fatalf("%s is answered %d", each.what, p.Status)
				}
				if g := gist(p, each.email); said != "" && g != said {
					t.Fatalf("the answers differ:\n%s\n---\n%s", g, said)
				} else {
					said = g
				}
				times[each.what] = append(times[each.what], took)
			}
		}
		p := min(differ(times["wrong"], times["unknown"]), differ(times["right"], times["unknown"]))
		t.Logf("round %d: median %.3f ms wrong, %.3f ms right, %.3f ms unknown; p = %.2g", round+1, median(times["wrong"]), median(times["right"]), median(times["unknown"]), p)
		if p >= differs {
			return
		}
	}
	t.Error("the time of a sign-in during a pause tells who has an account, or that the password is right")
}
