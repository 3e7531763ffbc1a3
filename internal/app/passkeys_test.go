package app

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/id"
	"troth/internal/trust"
)

// device is an authenticator in memory, in front of this installation.
type device struct {
	authenticator virtualwebauthn.Authenticator
	credential    virtualwebauthn.Credential
	rp            virtualwebauthn.RelyingParty
}

func newDevice() *device {
	d := &device{authenticator: virtualwebauthn.NewAuthenticator()}
	d.rp = virtualwebauthn.RelyingParty{ID: "localhost", Name: "Troth", Origin: "https://localhost:8443"}
	for len(d.credential.ID) == 0 || len(d.credential.Key.AttestationData()) != 77 { // one key in 128 is written without its zeros
		d.credential = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	}
	return d
}

// options asks what a device shall sign.
func (h *house) options(v *trust.Visitor, path string) (string, *trust.Page) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.in.edge.Origin()+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Origin", h.in.edge.Origin())
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	p, err := v.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	return p.Body, p
}

// adds gives somebody a passkey, as the page does.
func (w *who) adds(d *device, name string) {
	w.h.t.Helper()
	body, p := w.h.options(w.Visitor, "/-/account/passkeys/new/options")
	w.h.want(p, nil, http.StatusOK)
	o, err := virtualwebauthn.ParseAttestationOptions(body)
	if err != nil {
		w.h.t.Fatal(err)
	}
	d.authenticator.Options.UserHandle = []byte(o.UserID)
	p, err = w.Post(w.h.t.Context(), "/-/account/passkeys/new", "name", name, "passkey",
		virtualwebauthn.CreateAttestationResponse(d.rp, d.authenticator, d.credential, *o))
	w.h.want(p, err, http.StatusSeeOther)
}

// signs answers what a page asks.
func (d *device) signs(h *house, v *trust.Visitor, path string) string {
	h.t.Helper()
	body, p := h.options(v, path)
	h.want(p, nil, http.StatusOK)
	o, err := virtualwebauthn.ParseAssertionOptions(body)
	if err != nil {
		h.t.Fatal(err)
	}
	return virtualwebauthn.CreateAssertionResponse(d.rp, d.authenticator, d.credential, *o)
}

// where are the passkeys of the pages.
type passkeysPage struct {
	Passkeys []struct {
		ID, Name string
		Synced   bool
	}
}

func (w *who) passkeys() (list passkeysPage) {
	w.h.t.Helper()
	p, err := w.GetJSON(w.h.t.Context(), "/-/account/passkeys")
	w.h.want(p, err, http.StatusOK)
	if err := json.Unmarshal([]byte(p.Body), &list); err != nil {
		w.h.t.Fatal(err)
	}
	return list
}

// TestPasskeyFromEndToEnd: a passkey is added, signs in alone and as a second
// factor, answers when the person is asked again, is renamed and removed; and
// the holder is told by mail.
func TestPasskeyFromEndToEnd(t *testing.T) {
	t.Parallel()
	h := raise(t)
	ctx := t.Context()
	ada := h.person("ada")
	page, err := ada.Get(ctx, "/-/account/passkeys")
	h.want(page, err, http.StatusOK)
	for _, s := range []string{"No passkey yet", "/-/account/passkeys/new"} {
		if !strings.Contains(page.Body, s) {
			t.Errorf("the page of passkeys lacks %q", s)
		}
	}
	page, err = ada.Get(ctx, "/-/account/passkeys/new")
	if h.want(page, err, http.StatusOK); !strings.Contains(page.Body, `data-passkey="create"`) || !strings.Contains(page.Body, "data-passkey-scriptless") {
		t.Error("the page does not ask a device, or does not say that it needs scripts")
	}
	since := h.clock.now()
	d := newDevice()
	ada.adds(d, "Laptop")
	if m := h.letter(ada.address, since); !strings.Contains(m.Body, "passkey was added") {
		t.Errorf("the holder was told %q", m.Body)
	}
	list := ada.passkeys()
	if len(list.Passkeys) != 1 || list.Passkeys[0].Name != "Laptop" {
		t.Fatalf("the passkeys are %+v", list)
	}

	// Alone: no password, no further step, and more than a password proves.
	v := h.visitor()
	page, err = v.Get(ctx, "/-/signin")
	if h.want(page, err, http.StatusOK); !strings.Contains(page.Body, `autocomplete="username webauthn"`) || !strings.Contains(page.Body, "data-conditional") {
		t.Error("the form does not offer passkeys")
	}
	answer := d.signs(h, v, "/-/signin/passkey/options")
	page, err = v.Post(ctx, "/-/signin/passkey", "passkey", answer, "return_to", "/-/account/")
	if h.want(page, err, http.StatusSeeOther); page.Header.Get("Location") != "/-/account/" {
		t.Errorf("it leads to %s", page.Header.Get("Location"))
	}
	by, err := h.in.accounts.Authenticate(ctx, v.Cookie("__Host-troth"))
	if err != nil || by.Account != ada.account || !by.Factor || !by.Resistant || !slices.Equal(by.AMR, []string{"hwk", "user", "mfa"}) {
		t.Errorf("the session is %+v, %v", by, err)
	}
	// The same answer again, from here or elsewhere, opens nothing.
	for _, again := range []*trust.Visitor{v, h.visitor()} {
		page, err = again.Post(ctx, "/-/signin/passkey", "passkey", answer)
		if h.want(page, err, http.StatusUnauthorized); !strings.Contains(page.Body, "five minutes") || !strings.Contains(page.Body, `action="/-/signin"`) {
			t.Errorf("a replayed answer: %s", told(page))
		}
	}
	// Another browser has another challenge.
	stolen := d.signs(h, h.visitor(), "/-/signin/passkey/options")
	page, err = h.visitor().Post(ctx, "/-/signin/passkey", "passkey", stolen)
	h.want(page, err, http.StatusUnauthorized)

	// After the password, as a second factor.
	v = h.visitor()
	page, err = v.Post(ctx, "/-/signin", "email", ada.address, "password", ada.password)
	if h.want(page, err, http.StatusSeeOther); page.Header.Get("Location") != "/-/signin/code" {
		t.Fatalf("the password leads to %s", page.Header.Get("Location"))
	}
	page, err = v.Get(ctx, "/-/signin/code")
	if h.want(page, err, http.StatusOK); !strings.Contains(page.Body, "Laptop") || !strings.Contains(page.Body, `data-options="/-/signin/code/passkey"`) {
		t.Errorf("the second step is %s", told(page))
	}
	other := newDevice()
	other.authenticator.Options.UserHandle = d.authenticator.Options.UserHandle
	page, err = v.Post(ctx, "/-/signin/code", "kind", "passkey", "passkey", other.signs(h, v, "/-/signin/code/passkey"))
	if h.want(page, err, http.StatusUnauthorized); !strings.Contains(page.Body, "The passkey was not accepted") {
		t.Errorf("a foreign passkey: %s", told(page))
	}
	page, err = v.Post(ctx, "/-/signin/code", "kind", "passkey", "passkey", d.signs(h, v, "/-/signin/code/passkey"))
	h.want(page, err, http.StatusSeeOther)
	if by, err = h.in.accounts.Authenticate(ctx, v.Cookie("__Host-troth")); err != nil || !by.Resistant || !slices.Contains(by.AMR, "pwd") {
		t.Errorf("the session is %+v, %v", by, err)
	}

	// Later, what is sensitive asks again, and the passkey is enough.
	w := &who{Visitor: v, h: h, address: ada.address, password: ada.password, account: ada.account}
	h.jump(time.Hour)
	path := "/-/account/passkeys/" + list.Passkeys[0].ID
	page, err = w.Get(ctx, path+"/remove")
	if h.want(page, err, http.StatusSeeOther); !strings.HasPrefix(page.Header.Get("Location"), "/-/again?") {
		t.Fatalf("removing does not ask again: %s", page.Header.Get("Location"))
	}
	if _, p := h.options(w.Visitor, "/-/account/passkeys/new/options"); p.Status != http.StatusUnauthorized {
		t.Errorf("what a new passkey is made of is answered %d", p.Status)
	}
	page, err = w.Get(ctx, page.Header.Get("Location"))
	if h.want(page, err, http.StatusOK); !strings.Contains(page.Body, `data-options="/-/again/passkey"`) {
		t.Errorf("the page asks %s", told(page))
	}
	page, err = w.Post(ctx, "/-/again", "kind", "passkey", "passkey", other.signs(h, w.Visitor, "/-/again/passkey"))
	h.want(page, err, http.StatusUnauthorized)
	page, err = w.Post(ctx, "/-/again", "kind", "passkey", "passkey", d.signs(h, w.Visitor, "/-/again/passkey"), "return_to", path+"/remove")
	if h.want(page, err, http.StatusSeeOther); page.Header.Get("Location") != path+"/remove" {
		t.Errorf("it leads to %s", page.Header.Get("Location"))
	}

	page, err = w.Post(ctx, path, "name", "Old laptop")
	h.want(page, err, http.StatusSeeOther)
	page, err = w.Post(ctx, path, "name", strings.Repeat("x", 61))
	if h.want(page, err, http.StatusUnprocessableEntity); !strings.Contains(page.Body, "at most 60") {
		t.Error(told(page))
	}
	page, err = w.Get(ctx, "/-/account/passkeys")
	if h.want(page, err, http.StatusOK); !strings.Contains(page.Body, "Old laptop") || !strings.Contains(page.Body, "data-passkey-signals") || !strings.Contains(page.Body, "On one device only") {
		t.Errorf("the page is %s", told(page))
	}
	page, err = w.Get(ctx, path+"/remove")
	if h.want(page, err, http.StatusOK); !strings.Contains(page.Body, "your only passkey") {
		t.Error(told(page))
	}
	since = h.clock.now()
	page, err = w.Post(ctx, path+"/remove")
	h.want(page, err, http.StatusSeeOther)
	if m := h.letter(ada.address, since); !strings.Contains(m.Body, "passkey was removed") {
		t.Errorf("the holder was told %q", m.Body)
	}
	if list := w.passkeys(); len(list.Passkeys) != 0 {
		t.Errorf("the passkeys are %+v", list)
	}
	if by, _ := h.in.accounts.Authenticate(ctx, ada.Cookie("__Host-troth")); by.Kind == access.KindPerson {
		t.Error("another session outlived the factor")
	}
	v = h.visitor()
	page, err = v.Post(ctx, "/-/signin/passkey", "passkey", d.signs(h, v, "/-/signin/passkey/options"))
	if h.want(page, err, http.StatusUnauthorized); !strings.Contains(page.Body, "belongs to no account") || !strings.Contains(page.Body, "data-passkey-unknown") {
		t.Errorf("a passkey that was removed: %s", told(page))
	}
	h.says(ada, "added a passkey", "removed a passkey", "renamed a passkey", "the passkey: the passkey is not known")
}

// says fails unless the activity of a person's home, or of the platform, has
// these words.
func (h *house) says(w *who, words ...string) {
	h.t.Helper()
	if err := h.in.audit.Flush(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	var all string
	for _, tenant := range []id.Tenant{w.home(), id.Platform} {
		list, _, err := h.in.audit.List(h.t.Context(), audit.Filter{Tenant: tenant, Limit: 100})
		if err != nil {
			h.t.Fatal(err)
		}
		for _, e := range list {
			all += e.Sentence.String() + "\n"
		}
	}
	for _, each := range words {
		if !strings.Contains(all, each) {
			h.t.Errorf("the activity does not say %q:\n%s", each, all)
		}
	}
}

// TestPasskeysOfOthers: nobody renames or removes somebody else's.
func TestPasskeysOfOthers(t *testing.T) {
	t.Parallel()
	h := raise(t)
	ctx := t.Context()
	ada, bob := h.person("ada"), h.person("bob")
	ada.adds(newDevice(), "Laptop")
	path := "/-/account/passkeys/" + ada.passkeys().Passkeys[0].ID
	for _, act := range []func() (*trust.Page, error){
		func() (*trust.Page, error) { return bob.Get(ctx, path) },
		func() (*trust.Page, error) { return bob.Post(ctx, path, "name", "Mine") },
		func() (*trust.Page, error) { return bob.Get(ctx, path+"/remove") },
		func() (*trust.Page, error) { return bob.Post(ctx, path+"/remove") },
	} {
		p, err := act()
		h.want(p, err, http.StatusNotFound)
	}
	if list := ada.passkeys(); len(list.Passkeys) != 1 || list.Passkeys[0].Name != "Laptop" {
		t.Errorf("the passkeys are %+v", list)
	}
}

// TestPasskeyEndpoints: the document that password managers look for.
func TestPasskeyEndpoints(t *testing.T) {
	t.Parallel()
	h := raise(t)
	p, err := h.visitor().GetJSON(t.Context(), "/.well-known/passkey-endpoints")
	h.want(p, err, http.StatusOK)
	var doc map[string]string
	if err := json.Unmarshal([]byte(p.Body), &doc); err != nil || p.Header.Get("Content-Type") != "application/json" {
		t.Fatal(p.Header, err)
	}
	for _, name := range []string{"enroll", "manage"} {
		u, err := url.Parse(doc[name])
		if err != nil || u.Scheme+"://"+u.Host != h.in.edge.Origin() {
			t.Errorf("%s is %q", name, doc[name])
			continue
		}
		p, err := h.visitor().Get(t.Context(), u.Path)
		if h.want(p, err, http.StatusSeeOther); !strings.HasPrefix(p.Header.Get("Location"), "/-/signin?return_to=") {
			t.Errorf("%s leads a stranger to %s", name, p.Header.Get("Location"))
		}
	}
}

// TestNoPasskeysWithoutAName: an installation that is reached by an address has
// none, and its pages say so.
func TestNoPasskeysWithoutAName(t *testing.T) {
	t.Parallel()
	h := raise(t, func(s *Settings) { s.site.Origin = "https://127.0.0.1:8443" })
	ctx := t.Context()
	ada := h.person("ada")
	p, err := ada.Get(ctx, "/-/account/passkeys")
	if h.want(p, err, http.StatusOK); !strings.Contains(p.Body, "passkeys need a name") {
		t.Error(told(p))
	}
	v := h.visitor()
	p, err = v.Get(ctx, "/-/signin")
	if h.want(p, err, http.StatusOK); strings.Contains(p.Body, "data-passkey") {
		t.Error("passkeys are offered")
	}
	if _, p := h.options(v, "/-/signin/passkey/options"); p.Status != http.StatusServiceUnavailable {
		t.Errorf("a challenge is answered %d", p.Status)
	}
	p, err = v.GetJSON(ctx, "/.well-known/passkey-endpoints")
	if h.want(p, err, http.StatusOK); strings.TrimSpace(p.Body) != "{}" {
		t.Errorf("the document is %s", p.Body)
	}
}

// TestDestroyedAccountsForgetTheirPasskeys: what devices hold opens nothing, and
// nothing of it is kept.
func TestDestroyedAccountsForgetTheirPasskeys(t *testing.T) {
	t.Parallel()
	h := raise(t)
	ada, d := h.person("ada"), newDevice()
	ada.adds(d, "Laptop")
	if _, err := h.in.accounts.Destroy(t.Context(), access.System("operator on the host"), ada.account, false); err != nil {
		t.Fatal(err)
	}
	v := h.visitor()
	p, err := v.Post(t.Context(), "/-/signin/passkey", "passkey", d.signs(h, v, "/-/signin/passkey/options"))
	if h.want(p, err, http.StatusUnauthorized); !strings.Contains(p.Body, "belongs to no account") {
		t.Error(told(p))
	}
}
