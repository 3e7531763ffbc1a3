package account

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store"
)

// stolen knows some passwords.
type stolen struct {
	words []string
	err   error
}

func (s *stolen) Known(_ context.Context, p secret.String) (password.Finding, error) {
	if slices.Contains(s.words, p.Reveal()) {
		return password.Breached, s.err
	}
	return password.Unheard, s.err
}

// watched is a house with a list, which knows nothing yet.
func watched(t *testing.T, test func(t *testing.T, h *house, list *stolen)) {
	t.Helper()
	each(t, func(t *testing.T, h *house) {
		list := &stolen{}
		h.Accounts.Rules.Known = list
		test(t, h, list)
	})
}

// tries takes the first step of signing in.
func (h *house) tries(email, word string) Outcome {
	h.t.Helper()
	o, err := h.SignIn(ctx, stranger(), Attempt{Email: email, Password: secret.Of(word)})
	if err != nil {
		h.t.Fatalf("signing in: %v", err)
	}
	return o
}

func (h *house) count(table string) (n int) {
	h.t.Helper()
	err := h.DB.Read(ctx, func(tx *store.Tx) error { return tx.QueryRow(`SELECT COUNT(*) FROM ` + table).Scan(&n) })
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func (h *house) sweep(lines ...string) PairReport {
	h.t.Helper()
	r, err := h.SweepPairs(ctx, host(), strings.NewReader(strings.Join(lines, "\r\n")), false)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *house) compares() {
	h.t.Helper()
	if err := h.ComparePairs(ctx); err != nil {
		h.t.Fatal(err)
	}
}

func TestAPasswordOnAListIsRenewedAtTheNextSignIn(t *testing.T) {
	watched(t, func(t *testing.T, h *house, list *stolen) {
		by, s := h.person(ada, goodWord)
		list.words = []string{goodWord, newWord}
		if !h.signedIn(s.Token) {
			t.Error("a session ended because a list was imported")
		}
		o := h.tries(ada, goodWord)
		if o.Next != StepPassword || o.Signed.Session != "" {
			t.Fatalf("the outcome is %+v", o)
		}
		if p, err := h.Pending(ctx, o.Pending); err != nil || p.Renew != RenewExposed {
			t.Fatalf("it waits for %+v, %v", p, err)
		}
		sent := h.post.to(ada)
		if last := sent[len(sent)-1]; last.Kind != "account.exposed" || !strings.Contains(last.Body, "lists of breached passwords") {
			t.Errorf("the holder got %+v", last)
		}
		if e := h.events(homeOf(by)); !slices.Contains(e, evExposed) {
			t.Errorf("the log has %v", e)
		}
		// Trying again finds it again, and tells nobody a second time.
		again := h.tries(ada, goodWord)
		if again.Next != StepPassword || len(h.post.to(ada)) != len(sent) {
			t.Errorf("the second time: %+v, %d mails", again, len(h.post.to(ada)))
		}
		_, err := h.Renew(ctx, stranger(), o.Pending, secret.Of(newWord))
		want(t, err, fault.Invalid, "password.breached")
		done, err := h.Renew(ctx, stranger(), o.Pending, secret.Of("nobody else has this one"))
		if err != nil || done.Next != StepNone || !h.signedIn(done.Signed.Token) {
			t.Fatalf("after another password: %+v, %v", done, err)
		}
		if o := h.tries(ada, "nobody else has this one"); o.Next != StepNone {
			t.Errorf("the new password is asked for another one: %+v", o)
		}
	})
}

func homeOf(by access.Subject) id.Tenant { return by.Tenant }

// A list that cannot be asked keeps nobody out.
func TestAListThatFailsKeepsNobodyOut(t *testing.T) {
	watched(t, func(t *testing.T, h *house, list *stolen) {
		h.person(ada, goodWord)
		list.err = errors.New("the disk is on fire")
		if o := h.tries(ada, goodWord); o.Next != StepNone {
			t.Errorf("the outcome is %+v", o)
		}
		if _, err := h.SignUp(ctx, stranger(), Application{Email: "bob@example.org", Name: "Bob", Password: secret.Of("a pass phrase of bob"), Browser: h.browser}); err == nil {
			t.Error("a password is chosen without being compared")
		}
	})
}

// A reset makes the mark void: the password is another one.
func TestAnotherPasswordMakesTheMarkVoid(t *testing.T) {
	watched(t, func(t *testing.T, h *house, list *stolen) {
		h.person(ada, goodWord)
		list.words = []string{goodWord}
		h.tries(ada, goodWord)
		if err := h.AskReset(ctx, stranger(), ada); err != nil {
			t.Fatal(err)
		}
		if err := h.Reset(ctx, stranger(), h.link(ada, PathReset), secret.Of(newWord)); err != nil {
			t.Fatal(err)
		}
		if o := h.tries(ada, newWord); o.Next != StepNone {
			t.Errorf("the outcome is %+v", o)
		}
	})
}

func TestAStolenPairEndsSessionsAndTellsPeople(t *testing.T) {
	watched(t, func(t *testing.T, h *house, _ *stolen) {
		by, s := h.person(ada, goodWord)
		_, other := h.person("bob@example.org", newWord)
		r := h.sweep("nobody@example.org:"+goodWord, ada+":not the password", "ADA@example.org;"+goodWord, "bob@example.org:"+goodWord, "no pair at all", "x@y:", ada+":"+goodWord)
		if r != (PairReport{Lines: 7, Unread: 2, Accounts: 4, Compare: 3, Known: 1}) {
			t.Errorf("the report is %+v", r)
		}
		if h.count("account_pair") != 3 {
			t.Errorf("%d pairs wait", h.count("account_pair"))
		}
		h.compares()
		if h.count("account_pair") != 0 {
			t.Errorf("%d pairs are kept after they were compared", h.count("account_pair"))
		}
		if h.signedIn(s.Token) || !h.signedIn(other.Token) {
			t.Error("the wrong sessions ended")
		}
		sent := h.post.to(ada)
		if last := sent[len(sent)-1]; last.Kind != "account.exposed" || !strings.Contains(last.Body, "every session") {
			t.Errorf("the holder got %+v", last)
		}
		if e := h.events(homeOf(by)); !slices.Contains(e, evExposed) {
			t.Errorf("the log has %v", e)
		}
		h.Accounts.Alert = []string{"security@example.org"}
		for range 2 {
			if err := h.AlertExposed(ctx); err != nil {
				t.Fatal(err)
			}
		}
		told := h.post.to("security@example.org")
		if len(told) != 1 || !strings.Contains(told[0].Body, string(by.Account)) || strings.Contains(told[0].Body, ada) {
			t.Errorf("those who watch got %+v", told)
		}
		// It stands in no list, and yet it cannot be kept.
		o := h.tries(ada, goodWord)
		if o.Next != StepPassword {
			t.Fatalf("the outcome is %+v", o)
		}
		_, err := h.Renew(ctx, stranger(), o.Pending, secret.Of(goodWord))
		want(t, err, fault.Invalid, "account.same_password")
		if o, err = h.Renew(ctx, stranger(), o.Pending, secret.Of("nobody else has this one")); err != nil || o.Next != StepNone {
			t.Fatalf("%+v, %v", o, err)
		}
	})
}

// Hashes wait for what is typed. What was not the password is dropped by it.
func TestStolenHashesAreComparedWithWhatIsTyped(t *testing.T) {
	slow, err := bcrypt.GenerateFromPassword([]byte(goodWord), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for name, stolen := range map[string]string{
		"MD5": fmt.Sprintf("%X", md5.Sum([]byte(goodWord))), "SHA-1": fmt.Sprintf("%x", sha1.Sum([]byte(goodWord))),
		"NTLM": fmt.Sprintf("%x", password.NTLM(secret.Of(goodWord))), "bcrypt": string(slow),
	} {
		t.Run(name, func(t *testing.T) {
			h := sqlite(t)
			_, s := h.person(ada, goodWord)
			r := h.sweep(ada+":"+stolen, ada+":"+fmt.Sprintf("%x", md5.Sum([]byte("another one"))))
			if r.Keep != 2 || r.Compare != 0 {
				t.Fatalf("the report is %+v", r)
			}
			h.compares()
			if !h.signedIn(s.Token) {
				t.Error("a hash that was not compared ended a session")
			}
			if o := h.tries(ada, goodWord); o.Next != StepPassword || h.signedIn(s.Token) {
				t.Errorf("the outcome is %+v", o)
			}
			if h.count("account_pair") != 0 {
				t.Error("hashes are kept after they were compared")
			}
		})
	}
	h := sqlite(t)
	_, s := h.person(ada, goodWord)
	h.sweep(ada + ":" + fmt.Sprintf("%x", md5.Sum([]byte("another one"))))
	if o := h.tries(ada, goodWord); o.Next != StepNone || !h.signedIn(s.Token) || h.count("account_pair") != 0 {
		t.Errorf("somebody else's hash: %+v", o)
	}
}

// Nothing of a stolen pair stands in the database in plain text, and a pair of
// nobody's leaves nothing at all.
func TestStolenPairsAreNotKeptInPlainText(t *testing.T) {
	h := sqlite(t)
	h.person(ada, goodWord)
	h.sweep("nobody@example.org:a stranger's password", ada+":something of ada's", ada+":"+fmt.Sprintf("%x", sha1.Sum([]byte("x"))))
	err := h.DB.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT digest, account, kind, COALESCE(sealed, '') FROM account_pair`)
		if err != nil {
			return err
		}
		defer rows.Close()
		n := 0
		for rows.Next() {
			var digest, sealed []byte
			var account, kind string
			if err := rows.Scan(&digest, &account, &kind, &sealed); err != nil {
				return err
			}
			n++
			if all := string(digest) + account + kind + string(sealed); strings.Contains(all, "ada") || strings.Contains(all, "something") || strings.Contains(all, fmt.Sprintf("%x", sha1.Sum([]byte("x")))) {
				t.Errorf("a row holds what was swept: %q", all)
			}
			if (kind == pairHash) != (len(sealed) == 0) {
				t.Errorf("a row of the kind %s holds %d sealed bytes", kind, len(sealed))
			}
		}
		if n != 2 {
			t.Errorf("%d rows", n)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range h.events(id.Platform) {
		if strings.Contains(e, "ada") {
			t.Errorf("the log says %s", e)
		}
	}
}

func TestADryRunKeepsNothing(t *testing.T) {
	h := sqlite(t)
	h.person(ada, goodWord)
	r, err := h.SweepPairs(ctx, host(), strings.NewReader(ada+":"+goodWord+"\n"), true)
	if err != nil || r.Compare != 1 || h.count("account_pair") != 0 {
		t.Errorf("%+v, %v, %d rows", r, err, h.count("account_pair"))
	}
	_, err = h.SweepPairs(ctx, stranger(), strings.NewReader(""), true)
	want(t, err, fault.Denied, "account.host_only")
}

// Odd lines are counted, however they look.
func TestPairsThatCannotBeRead(t *testing.T) {
	h := sqlite(t)
	h.person(ada, goodWord)
	r := h.sweep("", "@example.org:x", ada, ada+":", strings.Repeat("x", 3*maxPairLine)+"@example.org:y", ada+":\x01\x02", ada+":$2a$31$"+strings.Repeat("x", 53), ada+":with:colons;in it")
	if r.Lines != 8 || r.Unread != 7 || r.Accounts != 3 || r.Compare != 1 {
		t.Errorf("%+v", r)
	}
}

// The owners are told where nobody else is named.
func TestOwnersAreToldWhereNobodyElseIs(t *testing.T) {
	h := sqlite(t)
	link, _, err := h.FirstOwnerLink(ctx)
	if err != nil {
		t.Fatal(err)
	}
	const owner = "root@example.org"
	if _, err := h.SignUp(ctx, stranger(), Application{Email: owner, Name: "Root", Password: secret.Of(goodWord), Browser: h.browser, Admission: tokenOf(t, link)}); err != nil {
		t.Fatal(err)
	}
	h.person("bob@example.org", goodWord)
	h.sweep("bob@example.org:" + goodWord)
	h.compares()
	if err := h.AlertExposed(ctx); err != nil {
		t.Fatal(err)
	}
	sent := h.post.to(owner)
	if last := sent[len(sent)-1]; last.Kind != "account.exposed_alert" {
		t.Errorf("the owner got %+v", last)
	}
}

func TestDestroyingAnAccountDropsWhatWasFound(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	h.sweep(ada+":"+goodWord, ada+":"+fmt.Sprintf("%x", md5.Sum([]byte("another one"))))
	h.compares()
	h.sweep(ada + ":yet another one")
	if _, err := h.Destroy(ctx, host(), by.Account, false); err != nil {
		t.Fatal(err)
	}
	if h.count("account_pair")+h.count("account_exposed") != 0 {
		t.Error("something is left of what was found")
	}
}

func TestRetentionOfWhatWasFound(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.person(ada, goodWord)
		h.sweep(ada+":"+goodWord, ada+":"+fmt.Sprintf("%x", md5.Sum([]byte("x"))))
		sweep := func(after time.Duration) {
			t.Helper()
			h.clock.add(after)
			for _, rule := range Retention {
				if rule.Sweep == nil {
					continue
				}
				err := h.DB.Write(ctx, func(tx *store.Tx) error {
					tx.Unaudited("test")
					_, err := rule.Sweep(ctx, tx, h.clock.now())
					return err
				})
				if err != nil {
					t.Fatalf("%s: %v", rule.Table, err)
				}
			}
		}
		sweep(0)
		if h.count("account_pair") != 2 {
			t.Error("what waits is swept")
		}
		sweep(8 * 24 * time.Hour)
		if h.count("account_pair") != 1 {
			t.Error("a password waits for more than a week")
		}
		sweep(180 * 24 * time.Hour)
		if h.count("account_pair") != 0 {
			t.Error("a hash waits for ever")
		}
		h.sweep(ada + ":" + goodWord)
		h.compares()
		if err := h.AlertExposed(ctx); err != nil {
			t.Fatal(err)
		}
		sweep(0)
		if h.count("account_exposed") != 1 {
			t.Error("a mark that holds is swept")
		}
		o := h.tries(ada, goodWord)
		if _, err := h.Renew(ctx, stranger(), o.Pending, secret.Of(newWord)); err != nil {
			t.Fatal(err)
		}
		sweep(0)
		if h.count("account_exposed") != 0 {
			t.Error("a mark of an older password stays")
		}
	})
}

// Another password is asked for after the second factor, never before: who has
// only the password cannot replace it.
func TestTheSecondFactorComesFirst(t *testing.T) {
	watched(t, func(t *testing.T, h *house, list *stolen) {
		locked(h, "totp")
		list.words = []string{goodWord}
		o := h.tries(ada, goodWord)
		if o.Next != StepFactor {
			t.Fatalf("the password led to %+v", o)
		}
		_, err := h.Renew(ctx, stranger(), o.Pending, secret.Of(newWord))
		want(t, err, fault.Conflict, "account.not_now")
		o, err = h.answer(o, "totp", "1")
		if err != nil || o.Next != StepPassword || o.Signed.Session != "" {
			t.Fatalf("the code led to %+v, %v", o, err)
		}
		o, err = h.Renew(ctx, stranger(), o.Pending, secret.Of(newWord))
		if err != nil || o.Next != StepNone {
			t.Fatalf("another password led to %+v, %v", o, err)
		}
		if by := h.who(o.Signed.Token); !by.Factor {
			t.Errorf("the session is %+v", by)
		}
	})
}

// Whoever signs in by a passkey is asked, too: others know the password still.
func TestAPasskeyDoesNotKeepAnExposedPassword(t *testing.T) {
	h := sqlite(t)
	_, account := locked(h, "passkey")
	h.sweep(ada + ":" + goodWord)
	h.compares()
	k := &touch{}
	h.Passkeys = k
	k.shows(account, "hwk", "user", "mfa")
	o, err := h.touched(stranger())
	if err != nil || o.Next != StepPassword {
		t.Fatalf("the passkey led to %+v, %v", o, err)
	}
	if o, err = h.Renew(ctx, stranger(), o.Pending, secret.Of(newWord)); err != nil || o.Next != StepNone {
		t.Errorf("another password led to %+v, %v", o, err)
	}
}

// A sign-in that waits when its password is found beside the address is over.
func TestAStolenPairEndsSignInsThatWait(t *testing.T) {
	h := sqlite(t)
	locked(h, "totp")
	o := h.tries(ada, goodWord)
	h.sweep(ada + ":" + goodWord)
	h.compares()
	_, err := h.answer(o, "totp", "1")
	want(t, err, fault.Gone, "account.sign_in_gone")
}

// Comparing makes room for people: when there is none for a hash, it goes on
// the next time, and nothing is lost.
func TestComparingGoesOnLater(t *testing.T) {
	h := sqlite(t)
	_, s := h.person(ada, goodWord)
	h.sweep(ada + ":" + goodWord)
	good := h.Accounts.Hashing
	h.Accounts.Hashing = busy{good}
	h.compares()
	if h.count("account_pair") != 1 || !h.signedIn(s.Token) {
		t.Error("a pair was dropped without being compared")
	}
	h.Accounts.Hashing = good
	h.compares()
	if h.count("account_pair") != 0 || h.signedIn(s.Token) {
		t.Error("a pair was not compared")
	}
}

type busy struct{ password.Hashing }

func (busy) Verify(context.Context, string, secret.String) (password.Verdict, error) {
	return password.Verdict{}, fault.New(fault.Unavailable, "password.busy", "busy")
}
