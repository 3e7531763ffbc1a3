package web

import (
	"context"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/text"
)

// galleryDir is where TestGallery leaves the pages as files, for a person or a
// browser to look at: go test ./internal/web -run TestGallery -gallery DIR
var galleryDir = flag.String("gallery", "", "write the pages of the gallery and their assets into this directory")

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const ownTenant = id.Tenant("ten_01jdabcdefghjkmnpqrstvwxyz")

type fixedMenu struct{}

func (fixedMenu) Menu(context.Context, access.Subject) (Menu, error) {
	return Menu{Name: "Ada Byron", Address: "ada@example.org", Tenants: []Choice{
		{ID: ownTenant, Name: "Analytical Engines"},
		{ID: "ten_01jdabcdefghjkmnpqrstvwxy0", Name: "Ada Byron", Personal: true},
		{ID: "ten_01jdabcdefghjkmnpqrstvwxy1", Name: "Royal Society for the Improvement of Natural Knowledge"},
	}}, nil
}

var galleryNav = []NavItem{
	{Section: "Account", Label: "Overview", Path: "/-/account/", Icon: "home", Order: 10},
	{Section: "Account", Label: "Sessions", Path: "/-/account/sessions", Icon: "session", Order: 11},
	{Section: "Account", Label: "Activity", Path: "/-/account/activity", Icon: "activity", Order: 12},
	{Section: "Account", Label: "Password", Path: "/-/account/password", Icon: "key", Order: 13},
	{Section: "Organisation", Label: "People", Path: "/-/org/people", Icon: "people", Order: 20},
	{Section: "Organisation", Label: "Invitations", Path: "/-/org/invitations", Icon: "mail", Order: 21},
	{Section: "Organisation", Label: "Activity", Path: "/-/org/activity", Icon: "activity", Order: 22},
	{Section: "Organisation", Label: "Settings", Path: "/-/org/settings", Icon: "settings", Order: 23},
	{Section: "Installation", Label: "Claims", Path: "/-/trust", Icon: "claim", Order: 30},
	{Section: "Installation", Label: "Log", Path: "/-/staff/log", Icon: "proof", Order: 31},
}

// frame is a renderer with the gallery's pages, and what handlers share.
func frame(t testing.TB, auth ...Authenticator) Deps {
	t.Helper()
	rd, err := NewRenderer(text.English(), os.DirFS("testdata"))
	if err != nil {
		t.Fatal(err)
	}
	rd.Service, rd.Nav, rd.Menus, rd.Now = "Notes", galleryNav, fixedMenu{}, func() time.Time { return noon }
	return Deps{Renderer: rd, Authenticators: auth, Now: rd.Now, Log: slog.New(slog.DiscardHandler)}
}

// as authenticates everybody as one subject.
type as struct{ subject access.Subject }

func (a as) Authenticate(*http.Request) (access.Subject, error) { return a.subject, nil }

// everything is a subject who may do everything, in ownTenant.
func everything() access.Subject {
	s := access.System("gallery")
	s.Tenant, s.Session = ownTenant, "ses_01jdabcdefghjkmnpqrstvwxyz"
	return s
}

type person struct {
	Name, Address, Role, Status string
	Seen                        time.Time
}

type session struct {
	ID, Agent, IP string
	Since, Used   time.Time
	Here          bool
}

type claim struct {
	ID, Sentence, Status, Not, Digest, Criteria string
	Checked                                     time.Time
}

type group struct {
	Name   string
	Claims []claim
}

const digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

var galleryRoles = []Option{
	{Value: "owner", Label: text.New("Owner"), Hint: text.New("Answers for the organisation and may delete it.")},
	{Value: "admin", Label: text.New("Admin"), Hint: text.New("Invites people and changes roles.")},
	{Value: "member", Label: text.New("Member"), Hint: text.New("Works with the content.")},
	{Value: "viewer", Label: text.New("Viewer"), Hint: text.New("Reads, changes nothing.")},
}

// galleryPages are the pages of the gallery: what a handler would do.
func galleryPages() map[string]func(*Request) error {
	page := func(name, title string, data any) func(*Request) error {
		return func(r *Request) error { return r.Page("gallery/"+name, text.New(title), data) }
	}
	settings := map[string]any{
		"Roles":    galleryRoles,
		"Zones":    []Option{{Value: "utc", Label: text.New("UTC")}, {Value: "cet", Label: text.New("Berlin, Paris, Madrid")}},
		"Statuses": slices.Sorted(maps.Keys(tones)),
		"Icons":    slices.Sorted(maps.Keys(assets().icons)),
	}
	broken := fault.New(fault.Invalid, "x.email", "The e-mail address has no @. Write it as name@example.org.").On("email")
	empty := fault.New(fault.Invalid, "x.name", "The organisation needs a name of up to 80 characters.").On("name")
	deletion := Confirmation{
		Title:        text.New("Delete Analytical Engines"),
		Consequences: []text.Text{text.New("Its 14 people lose their access at once."), text.New("Its notes and its activity can no longer be read."), text.New("The keys are destroyed; backups made before become unreadable within a day.")},
		Final:        text.New("Nobody can undo this, neither you nor whoever runs this service."),
		Type:         "Analytical Engines", Button: text.New("Delete the organisation"), Back: "/-/org/settings",
	}
	return map[string]func(*Request) error{
		"signin":   page("signin", "Sign in to Notes", nil),
		"people":   page("people", "People", galleryPeople()),
		"sessions": page("sessions", "Sessions", map[string]any{"Sessions": gallerySessions()}),
		"activity": page("activity", "Activity", map[string]any{"Moments": galleryMoments(), "Pager": Pager{Older: "?before=evt_1"}}),
		"event":    page("event", "Ada Byron changed the role of Charles Babbage to admin", galleryEvent()),
		"trust":    page("trust", "Promises, and the proof", map[string]any{"Groups": galleryClaims()}),
		"settings": page("settings", "Settings", settings),
		"fault": func(r *Request) error {
			r.Form = url.Values{"email": {"ada.example.org"}, "role": {"viewer"}, "news": {"yes"}}
			v := &View{Title: text.New("Settings"), Data: settings, name: "gallery/settings", faults: []*fault.Error{empty, broken}}
			return r.page(422, v)
		},
		"confirm": func(r *Request) error { return r.Confirm(deletion, nil) },
		"error": func(*Request) error {
			return fault.New(fault.NotFound, "x.gone", "There is nothing here under that identifier.")
		},
		"limit": func(*Request) error {
			return fault.New(fault.TooMany, "x.many", "There were too many attempts from this address.").In(4 * time.Minute)
		},
		"notice": func(r *Request) error {
			return r.Notice(Notice{Title: text.New("Look into your mailbox"), Icon: "mail", Text: []text.Text{
				text.New("If %s can have an account here, a message with a link is on its way.", "ada@example.org"),
				text.New("The link works once, within the next hour."),
			}, Action: &Action{Path: "/-/signin", Label: text.New("Back to sign-in")}})
		},
		"flash": func(r *Request) error {
			return r.page(200, &View{Title: text.New("Sessions"), Flash: "The browser in Leipzig was signed out.",
				Data: map[string]any{"Sessions": gallerySessions()}, name: "gallery/sessions"})
		},
	}
}

func galleryPeople() any {
	return map[string]any{
		"Roles": append([]Option{{Label: text.New("All roles")}}, galleryRoles...),
		"Tabs":  []Tab{{Label: text.New("People"), Path: "/-/org/people", Count: 14, Current: true}, {Label: text.New("Invitations"), Path: "/-/org/invitations", Count: 2}, {Label: text.New("Roles"), Path: "/-/org/roles"}},
		"People": []person{
			{"Ada Byron", "ada@example.org", "Owner", "active", noon.Add(-20 * time.Second)},
			{"Charles Babbage", "charles@example.org", "Admin", "active", noon.Add(-3 * time.Hour)},
			{"Mary Somerville", "mary.somerville@natural-philosophy.example.org", "Member", "invited", time.Time{}},
			{"Luigi Menabrea", "luigi@example.org", "Viewer", "locked", noon.Add(-40 * day)},
		},
		"Pager": Pager{Newer: "?after=1", Older: "?before=2"},
	}
}

func gallerySessions() []session {
	return []session{
		{"ses_01jdabcdefghjkmnpqrstvwxyz", "Firefox 145 on Linux", "203.0.113.7", noon.Add(-2 * day), noon, true},
		{"ses_01jdabcdefghjkmnpqrstvw2ab", "Safari on iPhone", "2001:db8::42", noon.Add(-9 * day), noon.Add(-4 * time.Hour), false},
		{"ses_01jdabcdefghjkmnpqrstvw9k1", "Chrome 151 on Windows", "198.51.100.23", noon.Add(-13 * day), noon.Add(-6 * day), false},
	}
}

func galleryMoments() []Moment {
	at := func(d time.Duration) time.Time { return noon.Add(-d) }
	where := text.New("Firefox on Linux · 203.0.113.7 · Leipzig")
	return []Moment{
		{At: at(10 * time.Second), Tone: Good, Text: text.New("You signed in"), Detail: where, Path: "/-/account/activity/evt_1", Link: text.New("Proof")},
		{At: at(4 * time.Minute), Tone: Bad, Text: text.New("Somebody typed a wrong password for your account"), Detail: text.New("Unknown browser · 198.51.100.23"), Path: "/-/account/activity/evt_2", Link: text.New("Proof")},
		{At: at(2 * time.Hour), Icon: "people", Text: text.New("You changed the role of Charles Babbage from member to admin"), Detail: where, Path: "/-/account/activity/evt_3", Link: text.New("Proof")},
		{At: at(26 * time.Hour), Icon: "mail", Tone: Wait, Text: text.New("You invited mary.somerville@natural-philosophy.example.org as a member"), Detail: where, Path: "/-/x"},
		{At: at(8 * day), Icon: "key", Tone: Warn, Text: text.New("You changed your password; all other browsers were signed out"), Detail: where, Path: "/-/x"},
	}
}

func galleryEvent() any {
	return map[string]any{
		"ID": "evt_01jdabcdefghjkmnpqrstvwxyz", "At": noon.Add(-2 * time.Hour), "Digest": digest,
		"Checkpoint": "notes.example\n5120\nOS9b5iB2YqgUeVXPvtW2qXE1nBqEJ0iH4HJZ3bQ3vF0=\n\n— notes.example HSw7Kq3bqW2zQe8l4kXfGkz9m1Qp0vF0b6r5o2T1n8u7i6y5t4r3e2w1q0AbCdEf",
		"Raw":        `{"action":"tenant.role_changed","occurred_at":"2026-11-21T10:00:00Z","actor":{"kind":"person","account":"acc_01jd"},"metadata":{"from":"member","to":"admin"}}`,
	}
}

func galleryClaims() []group {
	c := func(id, status, sentence, not string, ago time.Duration) claim {
		return claim{id, sentence, status, not, digest, "SOC 2 CC6.1 · ISO 27001 A.8.24", noon.Add(-ago)}
	}
	return []group{
		{"Keys and encryption", []claim{
			c("A1", "proven", "Everything that is stored lies there encrypted with AES-256.", "that the operator's machine was not watched while it worked.", 12*time.Minute),
			c("A7", "failing", "Every tenant has keys of its own, and destroying them makes its data unreadable.", "that nobody made a copy of the plain text before.", 3*time.Hour),
		}},
		{"The log", []claim{
			c("D1", "stale", "What happened is in a log that nobody can change without being found out.", "that everything that happened was written down.", 30*time.Hour),
			c("D2", "attested", "The program that serves you was built from the published source.", "the machine that it runs on.", 2*day),
		}},
	}
}

// show renders one page of the gallery.
func show(t testing.TB, name string, handle func(*Request) error) string {
	t.Helper()
	deps := frame(t, as{everything()})
	path := map[string]string{"people": "/-/org/people", "sessions": "/-/account/sessions", "flash": "/-/account/sessions",
		"activity": "/-/account/activity", "event": "/-/account/activity/evt_1", "settings": "/-/org/settings", "fault": "/-/org/settings", "trust": "/-/trust"}[name]
	if path == "" {
		path = "/-/" + name
	}
	if name == "signin" || name == "notice" || name == "trust" {
		deps.Authenticators = nil
	}
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Accept", "text/html")
	w := httptest.NewRecorder()
	Handler(Route{Method: "GET", Path: path, Public: "a test", Handle: handle}, deps).ServeHTTP(w, r)
	if ct := w.Header().Get("Content-Type"); ct != "text/html; charset=utf-8" {
		t.Fatalf("the page %s came as %s: %s", name, ct, w.Body)
	}
	return w.Body.String()
}

// TestGallery renders every component in a page and checks that what comes out
// is well-formed, has one heading and no id twice, and names only ids that exist.
func TestGallery(t *testing.T) {
	for name, handle := range galleryPages() {
		t.Run(name, func(t *testing.T) {
			body := show(t, name, handle)
			inspect(t, body)
			if *galleryDir != "" {
				write(t, name+".html", []byte(body))
			}
		})
	}
	if *galleryDir != "" {
		for name, a := range assets().files {
			write(t, filepath.Join(assetRoot, assets().hash, name), a.plain)
		}
	}
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	p := filepath.Join(*galleryDir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// inspect parses a page as XML with HTML's void elements: stricter than a
// browser, which would forgive what this finds.
func inspect(t *testing.T, body string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(body))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	ids, refs, headings, open := map[string]bool{}, map[string]string{}, 0, 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, numbered(body))
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			if _, end := token.(xml.EndElement); end {
				open--
			}
			continue
		}
		open++
		if e.Name.Local == "h1" {
			headings++
		}
		for _, a := range e.Attr {
			switch a.Name.Local {
			case "id":
				if ids[a.Value] {
					t.Errorf("the id %q stands twice", a.Value)
				}
				ids[a.Value] = true
			case "for", "aria-describedby", "aria-labelledby", "popovertarget":
				for _, ref := range strings.Fields(a.Value) {
					refs[ref] = e.Name.Local + " " + a.Name.Local
				}
			case "style", "onclick", "onsubmit":
				t.Errorf("%s has the attribute %s, which the content security policy forbids", e.Name.Local, a.Name.Local)
			}
			if strings.Contains(a.Value, "ZgotmplZ") || strings.Contains(a.Value, "{{") {
				t.Errorf("%s %s=%q was not rendered", e.Name.Local, a.Name.Local, a.Value)
			}
		}
	}
	for ref, by := range refs {
		if !ids[ref] {
			t.Errorf("%s names the id %q, which is not there", by, ref)
		}
	}
	if headings != 1 || open != 0 {
		t.Errorf("the page has %d main headings and %d elements open", headings, open)
	}
}

func numbered(s string) string {
	var b strings.Builder
	for i, line := range strings.Split(s, "\n") {
		fmt.Fprintf(&b, "%3d %s\n", i+1, line)
	}
	return b.String()
}
