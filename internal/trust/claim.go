package trust

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"troth/verify"
)

// Claim is a sentence on the trust page, with what carries it.
type Claim struct {
	ID        string        // of the list of promises: "A1"
	Sentence  string        // what is claimed, in English
	Scope     string        // of what it is claimed: "every account of this installation"
	Criteria  []string      // ids of SOC 2, ISO 27001, NIST CSF and SP 800-53 that it answers to
	NotProven string        // what the checks do not show; every claim has something
	Fresh     time.Duration // how long a passing run counts; at least twice the longest period
	Attested  bool          // a duty of people: passing makes it attested, never proven
	Checks    []Check       // at least one
}

// Check exercises a claim.
type Check struct {
	Name     string        // unique: "account.stored_password"
	Version  int           // from 1; raised when what the check does changes
	Method   string        // what it does, in a sentence that a stranger understands
	Earliest time.Duration // how long after the first start it can run; 0 is at once
	Period   time.Duration // how often it runs
	Timeout  time.Duration // of one run; 0 is 30 s

	// Run tries. A Result says what was seen and whether the claim held. An
	// error says that it could not be tried, which never counts as passed.
	Run func(ctx context.Context, b Bench) (Result, error)
}

// Observation is one thing that a check looked at; it is public.
type Observation = verify.Observation

// Result is what a run saw.
type Result struct {
	Passed   bool
	Observed []Observation // at least one
}

// Look collects observations. It has passed when there is one and all of them
// were as expected.
type Look struct {
	observed []Observation
	wrong    bool
}

// That records an observation and whether it was as expected, and returns the
// latter.
func (l *Look) That(ok bool, what, expected, seen string) bool {
	l.observed = append(l.observed, Observation{What: what, Expected: expected, Seen: seen})
	l.wrong = l.wrong || !ok
	return ok
}

// Equal records an observation that is as expected if the two print the same.
func (l *Look) Equal(what string, expected, seen any) bool {
	e, s := fmt.Sprint(expected), fmt.Sprint(seen)
	return l.That(e == s, what, e, s)
}

// Result is what the run comes to.
func (l *Look) Result() (Result, error) {
	if len(l.observed) == 0 {
		return Result{}, errors.New("the check observed nothing")
	}
	return Result{Passed: !l.wrong, Observed: l.observed}, nil
}

// ref is the claim as evidence holds it.
func (c Claim) ref() verify.ClaimRef {
	r := verify.ClaimRef{ID: c.ID, Sentence: c.Sentence, Scope: c.Scope, Criteria: c.Criteria, NotProven: c.NotProven, Attested: c.Attested}
	for _, k := range c.Checks {
		r.Checks = append(r.Checks, k.Name)
	}
	return r
}

// ref is the check as evidence holds it.
func (k Check) ref(build string) verify.CheckRef {
	return verify.CheckRef{Name: k.Name, Version: k.Version, Method: k.Method, Build: build}
}

// limit is how long a run may take.
func (k Check) limit() time.Duration {
	if k.Timeout > 0 {
		return k.Timeout
	}
	return 30 * time.Second
}

// criteria are the identifiers that a claim may cite, and nothing else of the
// standards: SOC 2 trust services criteria, ISO/IEC 27001:2022 annex A, NIST
// CSF 2.0, NIST SP 800-53 revision 5.
//
//go:embed criteria.txt
var criteria string

var known = strings.Fields(criteria)

var (
	claimID   = regexp.MustCompile(`^[A-Z][0-9]{1,3}$`)
	checkName = regexp.MustCompile(`^[a-z]+(\.[a-z0-9_]+)+$`)
)

// validate reports everything that a set of claims lacks, in sentences.
func validate(claims []Claim) error {
	var gaps []error
	ids, names := map[string]bool{}, map[string]bool{}
	for _, c := range claims {
		bad := func(format string, args ...any) {
			gaps = append(gaps, fmt.Errorf("the claim %q %s", c.ID, fmt.Sprintf(format, args...)))
		}
		if !claimID.MatchString(c.ID) {
			bad("has an identifier that is no letter and number")
		}
		if ids[c.ID] {
			bad("is made twice")
		}
		ids[c.ID] = true
		for what, s := range map[string]string{"sentence": c.Sentence, "scope": c.Scope, "word on what is not proven": c.NotProven} {
			if strings.TrimSpace(s) == "" {
				bad("has no %s", what)
			}
		}
		for _, id := range c.Criteria {
			if !slices.Contains(known, id) {
				bad("cites %q, which is no criterion that is known", id)
			}
		}
		if len(c.Checks) == 0 {
			bad("has no check")
		}
		for _, k := range c.Checks {
			k.validate(c, names, bad)
		}
	}
	return errors.Join(gaps...)
}

func (k Check) validate(c Claim, names map[string]bool, bad func(string, ...any)) {
	if !checkName.MatchString(k.Name) {
		bad("has the check %q, whose name is not of the form part.word", k.Name)
	}
	if names[k.Name] {
		bad("has the check %q, which stands twice", k.Name)
	}
	names[k.Name] = true
	if k.Version < 1 || k.Run == nil || strings.TrimSpace(k.Method) == "" {
		bad("has the check %q without a version, a method or code", k.Name)
	}
	if k.Period <= 0 || k.Earliest < 0 {
		bad("has the check %q without a period", k.Name)
	} else if c.Fresh < 2*k.Period {
		bad("stays fresh for less than two periods of the check %q: one late run would make it stale", k.Name)
	}
}
