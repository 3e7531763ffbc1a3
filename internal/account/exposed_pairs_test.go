package account

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"troth/internal/id"
	"troth/internal/store"
)

func TestLinesOfPairs(t *testing.T) {
	for line, want := range map[string]pair{
		"ada@example.org:secret":          {"ada@example.org", "secret"},
		"ada@example.org;secret":          {"ada@example.org", "secret"},
		"ada@example.org\tsecret":         {"ada@example.org", "secret"},
		"ada@example.org:se:cr;et\t":      {"ada@example.org", "se:cr;et\t"},
		" ada@example.org : with spaces ": {"ada@example.org", " with spaces "},
		"ada@example.org:p@ss":            {"ada@example.org", "p@ss"},
		"ada@example.org:é\U0001f511":     {"ada@example.org", "é\U0001f511"},
	} {
		for _, end := range []string{"", "\n", "\r\n"} {
			p, ok, err := nextPair(bufio.NewReaderSize(strings.NewReader(line+end), maxPairLine))
			if !ok || err != nil || p != want {
				t.Errorf("%q: %+v, %t, %v", line+end, p, ok, err)
			}
		}
	}
	for _, line := range []string{"", "ada", "ada:secret", "@example.org:secret", "ada@:secret", "ada@example.org", "ada@example.org:", "secret:ada", ":", strings.Repeat("a", maxPairLine) + "@b:c"} {
		in := bufio.NewReaderSize(strings.NewReader(line+"\nada@example.org:next\n"), maxPairLine)
		if p, ok, err := nextPair(in); ok || err != nil {
			t.Errorf("%q is read as %+v, %v", line, p, err)
		}
		if p, ok, err := nextPair(in); !ok || err != nil || p.secret != "next" {
			t.Errorf("after %q: %+v, %t, %v", line, p, ok, err)
		}
		if _, _, err := nextPair(in); !errors.Is(err, io.EOF) {
			t.Errorf("after %q, it ends with %v", line, err)
		}
	}
}

func TestWhatIsFoundIsToldApart(t *testing.T) {
	slow, err := bcrypt.GenerateFromPassword([]byte("x"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for found, want := range map[string]string{
		"hunter2": pairText, "a pass phrase with spaces": pairText, "12345678": pairText, "$ecret": pairText, "deadbeef": pairText,
		strings.Repeat("ab", 16): pairHash, strings.Repeat("AB", 20): pairHash, strings.Repeat("0f", 32): pairHash, strings.Repeat("0f", 64): pairHash,
		strings.Repeat("zz", 16): pairText, strings.Repeat("ab", 15): pairText,
		string(slow): pairBcrypt,
		// What cannot be computed here, or would take the machine.
		"$2b$31$" + strings.Repeat("x", 53): "", "$2b$": "", "$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2g": "",
		"bell \a": "", "broken \xff": "",
	} {
		if got := kindOfSecret(found); got != want {
			t.Errorf("%q is of the kind %q, want %q", found, got, want)
		}
	}
}

// Two people with one password have different digests, and one who has it in
// two collections has one.
func TestDigestsOfPairsTellNothing(t *testing.T) {
	h := sqlite(t)
	h.person(ada, goodWord)
	h.person("bob@example.org", newWord)
	same := strings.Repeat("ab", 20)
	r := h.sweep(ada+":"+same, "bob@example.org:"+same, ada+";"+strings.ToUpper(same))
	if r.Keep != 2 || r.Known != 1 {
		t.Errorf("the report is %+v", r)
	}
	var digests []string
	err := h.DB.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT digest FROM account_pair`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var d []byte
			if err := rows.Scan(&d); err != nil {
				return err
			}
			digests = append(digests, string(d))
		}
		return rows.Err()
	})
	if err != nil || len(digests) != 2 || digests[0] == digests[1] {
		t.Errorf("%d digests, %v", len(digests), err)
	}
}

// More pairs than one transaction takes, of which few are of accounts.
func TestALongSweep(t *testing.T) {
	h := sqlite(t)
	h.person(ada, goodWord)
	var b strings.Builder
	for i := range 3*pairBatch + 7 {
		b.WriteString("nobody-" + strings.Repeat("x", i%50) + "@example.org:whatever\n")
		if i%pairBatch == 3 {
			b.WriteString(ada + ":" + strings.Repeat("y", i%1000+1) + "\n")
		}
	}
	r, err := h.SweepPairs(ctx, host(), strings.NewReader(b.String()), false)
	if err != nil || r.Lines != 3*pairBatch+7+4 || r.Accounts != 4 || r.Compare+r.Known != 4 {
		t.Errorf("%+v, %v", r, err)
	}
	if !slices.Contains(h.events(id.Platform), evSwept) {
		t.Error("the log does not say that it was swept")
	}
}

// breaks is a file whose disk fails.
type breaks struct{ io.Reader }

func (b breaks) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = errors.New("the disk is on fire")
	}
	return n, err
}

func TestAFileThatBreaksOff(t *testing.T) {
	h := sqlite(t)
	h.person(ada, goodWord)
	_, err := h.SweepPairs(ctx, host(), breaks{strings.NewReader(ada + ":one\n" + ada + ":two")}, false)
	if err == nil || strings.Contains(err.Error(), "two") {
		t.Errorf("the error is %v", err)
	}
	if slices.Contains(h.events(id.Platform), evSwept) {
		t.Error("the log says that it was swept")
	}
}

// A mail names no more accounts than a person reads, and counts the others.
func TestAnAlertStaysShort(t *testing.T) {
	h := sqlite(t)
	var all []found
	for i := range 3 * alertNames {
		how := inList
		if i%3 == 0 {
			how = inPair
		}
		all = append(all, found{row{person: person{account: id.New[id.Account](h.clock.now())}}, how})
	}
	m := h.alertLetter("security@example.org", all)
	if n := strings.Count(m.Body, "acc_"); n != 2*alertNames {
		t.Errorf("%d accounts are named", n)
	}
	for _, says := range []string{"Number of accounts: 100.", "Number of accounts: 50.", "+ 50", "stolen elsewhere", "lists of breached passwords"} {
		if !strings.Contains(m.Body, says) {
			t.Errorf("%q is missing in\n%s", says, m.Body)
		}
	}
	if m.Account != "" || m.To != "security@example.org" {
		t.Errorf("the mail is %+v", m)
	}
}

// The synthetic customer alarms its own watch, and nobody else.
func TestTheSyntheticCustomerAlarmsNobody(t *testing.T) {
	h := sqlite(t)
	h.Accounts.Alert = []string{"security@example.org"}
	const canary = "breach-x@canary.invalid"
	h.person(canary, goodWord)
	h.sweep(canary + ":" + goodWord)
	h.compares()
	if err := h.AlertExposed(ctx); err != nil {
		t.Fatal(err)
	}
	if len(h.post.to("security@example.org")) != 0 || len(h.post.to(Watch)) != 1 {
		t.Errorf("%d and %d mails", len(h.post.to("security@example.org")), len(h.post.to(Watch)))
	}
}
