package notes

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	origin  = "https://localhost:8443"
	tenantA = "ten_aaaaaaaaaaaaaaaaaaaaaaaaaa"
	tenantB = "ten_bbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// troth signs assertions as Troth does.
type troth struct {
	t     *testing.T
	mu    sync.Mutex
	keys  map[string]*ecdsa.PrivateKey
	fetch int
	down  bool
	now   time.Time
}

func newTroth(t *testing.T) *troth {
	tr := &troth{t: t, keys: map[string]*ecdsa.PrivateKey{}, now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	tr.addKey("one")
	return tr
}

func (tr *troth) addKey(kid string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.keys[kid] = key
}

func (tr *troth) set(context.Context) ([]byte, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.fetch++
	if tr.down {
		return nil, errors.New("Troth is down")
	}
	var set jose.JSONWebKeySet
	for kid, k := range tr.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &k.PublicKey, KeyID: kid, Algorithm: "ES256", Use: "sig"})
	}
	return json.Marshal(set)
}

type said map[string]any

func (tr *troth) person(tenant, account, role string) said {
	return said{"iss": origin, "aud": origin, "sub": account, "tid": tenant, "sid": "ses_1", "roles": []string{role},
		"name": strings.ToUpper(account), "tenant_name": "Org " + strings.TrimPrefix(tenant, "ten_")[:min(2, len(strings.TrimPrefix(tenant, "ten_")))], "iat": tr.now.Unix(), "exp": tr.now.Add(time.Minute).Unix()}
}

func (tr *troth) sign(c said) string { return tr.signWith("one", tr.keys["one"], c) }

func (tr *troth) signWith(kid string, key any, c said) string {
	alg := jose.ES256
	if _, ok := key.([]byte); ok {
		alg = jose.HS256
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
	if err != nil {
		tr.t.Fatal(err)
	}
	token, err := jwt.Signed(s).Claims(map[string]any(c)).Serialize()
	if err != nil {
		tr.t.Fatal(err)
	}
	return token
}

func newApp(t *testing.T, tr *troth) (http.Handler, string) {
	dir := t.TempDir()
	h, err := Handler(Options{Issuer: origin, Keys: tr.set, Dir: dir, Now: func() time.Time { return tr.now }})
	if err != nil {
		t.Fatal(err)
	}
	return h, dir
}

func ask(h http.Handler, method, path, token string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, origin+path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if token != "" {
		r.Header.Set("Troth-Assertion", token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func note(title string) url.Values { return url.Values{"title": {title}, "text": {"text of " + title}} }

var noteLink = regexp.MustCompile(`href="(/notes/[A-Z0-9]+)"`)

func links(w *httptest.ResponseRecorder) []string {
	var out []string
	for _, m := range noteLink.FindAllStringSubmatch(w.Body.String(), -1) {
		out = append(out, m[1])
	}
	return out
}

func TestRolesDecideWhatAPersonMayDo(t *testing.T) {
	tr := newTroth(t)
	h, _ := newApp(t, tr)
	as := func(account, role string) string { return tr.sign(tr.person(tenantA, account, role)) }
	if w := ask(h, "POST", "/notes", as("acc_ann", "member"), note("Anns")); w.Code != http.StatusSeeOther {
		t.Fatalf("a member writes: %d %s", w.Code, w.Body)
	}
	path := links(ask(h, "GET", "/", as("acc_ann", "member"), nil))[0]
	for _, c := range []struct {
		account, role, method, path string
		form                        url.Values
		want                        int
	}{
		{"acc_vic", "viewer", "GET", "/", nil, 200},
		{"acc_vic", "viewer", "GET", path, nil, 200},
		{"acc_vic", "viewer", "POST", "/notes", note("x"), 403},
		{"acc_vic", "viewer", "POST", path + "/delete", url.Values{}, 403},
		{"acc_ann", "viewer", "POST", path, note("demoted"), 403}, // the author, but no writer any more
		{"acc_bob", "member", "POST", path, note("x"), 403},
		{"acc_bob", "member", "POST", path + "/delete", url.Values{}, 403},
		{"acc_ann", "member", "POST", path, note("Anns, changed"), 303},
		{"acc_eve", "", "GET", "/", nil, 403},
		{"acc_eve", "superuser", "GET", "/", nil, 403},
		{"acc_ada", "admin", "POST", path, note("by the admin"), 303},
		{"acc_own", "owner", "POST", path + "/delete", url.Values{}, 303},
		{"acc_own", "owner", "POST", path + "/delete", url.Values{}, 404},
	} {
		if w := ask(h, c.method, c.path, as(c.account, c.role), c.form); w.Code != c.want {
			t.Errorf("%s as %s: %s %s: %d, want %d", c.account, c.role, c.method, c.path, w.Code, c.want)
		}
	}
}

func TestAnotherTenantSeesNothing(t *testing.T) {
	tr := newTroth(t)
	h, dir := newApp(t, tr)
	ann, bob := tr.sign(tr.person(tenantA, "acc_ann", "owner")), tr.sign(tr.person(tenantB, "acc_bob", "owner"))
	ask(h, "POST", "/notes", ann, note("secret of A"))
	path := links(ask(h, "GET", "/", ann, nil))[0]
	if w := ask(h, "GET", "/", bob, nil); w.Code != 200 || strings.Contains(w.Body.String(), "secret of A") {
		t.Errorf("B sees A's list: %d", w.Code)
	}
	for _, c := range []struct {
		method, path string
	}{{"GET", path}, {"POST", path}, {"POST", path + "/delete"}} {
		if w := ask(h, c.method, c.path, bob, note("taken")); w.Code != 404 {
			t.Errorf("%s %s as B: %d, want 404", c.method, c.path, w.Code)
		}
	}
	for _, tenant := range []string{"", "ten_../../etc/passwd", "../x", "ten_" + strings.Repeat("A", 26)} {
		if w := ask(h, "GET", "/", tr.sign(tr.person("ten_"+tenant, "acc_x", "owner")), nil); w.Code != 403 {
			t.Errorf("tenant %q: %d", tenant, w.Code)
		}
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 || list[0].Name() != tenantA+".json" {
		t.Errorf("the directory holds %v, %v", list, err)
	}
}

func TestOnlyAGoodAssertionIsBelieved(t *testing.T) {
	tr := newTroth(t)
	h, _ := newApp(t, tr)
	good := tr.person(tenantA, "acc_ann", "owner")
	with := func(changes said) said {
		c := said{}
		for k, v := range good {
			c[k] = v
		}
		for k, v := range changes {
			if v == nil {
				delete(c, k)
			} else {
				c[k] = v
			}
		}
		return c
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	real := tr.sign(good)
	parts := strings.Split(real, ".")
	if w := ask(h, "GET", "/", real, nil); w.Code != 200 {
		t.Fatalf("the good one: %d %s", w.Code, w.Body)
	}
	for name, token := range map[string]string{
		"none":                 "",
		"forged":               tr.signWith("one", stranger, good),
		"unknown key":          tr.signWith("two", stranger, good),
		"no key named":         tr.signWith("", tr.keys["one"], good),
		"HMAC with the key":    tr.signWith("one", []byte(strings.Repeat("k", 32)), good),
		"alg none":             "eyJhbGciOiJub25lIiwia2lkIjoib25lIn0." + parts[1] + ".",
		"changed":              parts[0] + "." + parts[1][:len(parts[1])-2] + "xx." + parts[2],
		"not a token":          "hello",
		"expired":              tr.sign(with(said{"iat": tr.now.Add(-2 * time.Minute).Unix(), "exp": tr.now.Add(-time.Minute).Unix()})),
		"from the future":      tr.sign(with(said{"iat": tr.now.Add(time.Minute).Unix(), "exp": tr.now.Add(2 * time.Minute).Unix()})),
		"without an end":       tr.sign(with(said{"exp": nil})),
		"for another audience": tr.sign(with(said{"aud": "https://other.example"})),
		"without an audience":  tr.sign(with(said{"aud": nil})),
		"by another issuer":    tr.sign(with(said{"iss": "https://evil.example"})),
		"about nobody":         tr.sign(with(said{"sub": nil})),
	} {
		if w := ask(h, "GET", "/", token, nil); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d, want 401", name, w.Code)
		}
	}
	r := httptest.NewRequest("GET", origin+"/", nil)
	r.Header["Troth-Assertion"] = []string{real, real}
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusUnauthorized {
		t.Errorf("two assertions: %d, want 401", w.Code)
	}
}

func TestANewKeyIsFetchedAndAnOldOneForgotten(t *testing.T) {
	tr := newTroth(t)
	h, _ := newApp(t, tr)
	person := func() said { return tr.person(tenantA, "acc_ann", "viewer") }
	if w := ask(h, "GET", "/", tr.sign(person()), nil); w.Code != 200 || tr.fetch != 1 {
		t.Fatalf("%d after %d fetches", w.Code, tr.fetch)
	}
	tr.now = tr.now.Add(keysPause)
	tr.addKey("two")
	if w := ask(h, "GET", "/", tr.signWith("two", tr.keys["two"], person()), nil); w.Code != 200 || tr.fetch != 2 {
		t.Errorf("the new key: %d after %d fetches", w.Code, tr.fetch)
	}
	for range 100 { // nobody makes this application hammer Troth
		ask(h, "GET", "/", tr.signWith("three", tr.keys["two"], person()), nil)
	}
	if tr.fetch > 3 {
		t.Errorf("%d fetches for unknown keys", tr.fetch)
	}
	delete(tr.keys, "two")
	tr.now = tr.now.Add(keysFor + time.Second)
	if w := ask(h, "GET", "/", tr.sign(person()), nil); w.Code != 200 {
		t.Errorf("the first key: %d", w.Code)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if w := ask(h, "GET", "/", tr.signWith("two", key, person()), nil); w.Code != 401 {
		t.Errorf("a destroyed key: %d", w.Code)
	}
	tr.down = true
	tr.now = tr.now.Add(keysFor + time.Second)
	if w := ask(h, "GET", "/", tr.sign(person()), nil); w.Code != 200 {
		t.Errorf("the keys cannot be fetched for a moment: %d", w.Code)
	}
	tr.now = tr.now.Add(2 * keysFor)
	if w := ask(h, "GET", "/", tr.sign(person()), nil); w.Code != 401 {
		t.Errorf("the keys could not be fetched for long: %d, want 401", w.Code)
	}
}

func TestFormsOfOtherSitesAndBadFormsAreRefused(t *testing.T) {
	tr := newTroth(t)
	h, _ := newApp(t, tr)
	token := tr.sign(tr.person(tenantA, "acc_ann", "member"))
	r := httptest.NewRequest("POST", origin+"/notes", strings.NewReader(note("x").Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Troth-Assertion", token)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusForbidden {
		t.Errorf("a form of another site: %d", w.Code)
	}
	for name, form := range map[string]url.Values{
		"no title":     {"text": {"x"}},
		"long title":   {"title": {strings.Repeat("ä", maxTitle+1)}},
		"long text":    {"title": {"x"}, "text": {strings.Repeat("x", maxText+1)}},
		"not UTF-8":    {"title": {"\xff"}},
		"far too long": {"title": {"x"}, "text": {strings.Repeat("x", 1<<17)}},
	} {
		if w := ask(h, "POST", "/notes", token, form); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	if got := links(ask(h, "GET", "/", token, nil)); len(got) != 0 {
		t.Errorf("notes were kept: %v", got)
	}
}

func TestPagesSayWhoYouAreAndEscapeWhatYouWrote(t *testing.T) {
	tr := newTroth(t)
	h, _ := newApp(t, tr)
	c := tr.person(tenantA, "acc_ann", "member")
	c["name"] = "Ann <b>"
	token := tr.sign(c)
	ask(h, "POST", "/notes", token, note("<script>alert(1)</script>"))
	body := ask(h, "GET", "/", token, nil).Body.String()
	for _, want := range []string{html.EscapeString("Ann <b>"), "Org aa", "member", "/-/account/", "/-/signout", "&lt;script&gt;"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(body, "<script>") {
		t.Error("a note is a script")
	}
	if w := ask(h, "GET", "/about", "", nil); w.Code != 200 {
		t.Errorf("/about for strangers: %d", w.Code)
	}
	var who Person
	if err := json.Unmarshal(ask(h, "GET", "/whoami", token, nil).Body.Bytes(), &who); err != nil || who.Account != "acc_ann" || who.Tenant != tenantA {
		t.Errorf("whoami says %+v, %v", who, err)
	}
}

func TestNotesSurviveAndATenantIsBounded(t *testing.T) {
	dir := t.TempDir()
	s, err := openStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range maxNotes {
		if err := s.add(tenantA, Note{ID: rand.Text(), Title: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.add(tenantA, Note{ID: "y"}); !errors.Is(err, errFull) {
		t.Errorf("one too many: %v", err)
	}
	again, err := openStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := again.list(tenantA); err != nil || len(list) != maxNotes {
		t.Errorf("%d notes, %v", len(list), err)
	}
	if err := os.WriteFile(dir+"/"+tenantB+".json", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := again.add(tenantB, Note{ID: "z"}); err == nil {
		t.Error("a damaged file was overwritten")
	}
}

func TestOptionsAreNeeded(t *testing.T) {
	if _, err := Handler(Options{}); err == nil {
		t.Error("notes without Troth")
	}
}
