// Package notes is a small application for several organisations that has no
// sign-in, no accounts and no roles of its own: it stands behind Troth.
//
// Who sends a request is in the header Troth-Assertion, a JSON Web Token. The
// application checks its signature with the keys that Troth publishes at
// /-/jwks.json, and that it is meant for it and has not expired; it believes
// nothing else. Notes belong to the organisation (tid) in which they were
// written and are kept in one file for each. Viewers read; members write, and
// change what they wrote; administrators and owners change and delete any.
//
// It must listen where only Troth can reach it: on 127.0.0.1 or a Unix socket.
// Its files are not encrypted by it.
package notes

import (
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

//go:embed pages
var files embed.FS

// Options are what the application needs.
type Options struct {
	Issuer   string // Troth's origin, "https://localhost:8443"
	Audience string // what assertions for this application say as "aud"; the issuer if empty
	Keys     KeySet // Troth's public keys
	Dir      string // where notes are kept
	Now      func() time.Time
	Log      *slog.Logger
}

// app is the application.
type app struct {
	o     Options
	check *verifier
	store *store
	pages map[string]*template.Template
}

// Handler makes the application.
func Handler(o Options) (http.Handler, error) {
	if o.Issuer == "" || o.Keys == nil || o.Dir == "" {
		return nil, errors.New("the notes need Troth's address, its keys and a directory")
	}
	if o.Audience == "" {
		o.Audience = o.Issuer
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s, err := openStore(o.Dir)
	if err != nil {
		return nil, err
	}
	a := &app{o: o, store: s, pages: map[string]*template.Template{},
		check: &verifier{issuer: o.Issuer, audience: o.Audience, fetch: o.Keys, now: o.Now}}
	for _, name := range []string{"list", "note", "about", "error"} {
		a.pages[name], err = template.ParseFS(files, "pages/layout.html", "pages/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("reading the page %s: %w", name, err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.signedIn(a.list))
	mux.HandleFunc("POST /notes", a.signedIn(a.write))
	mux.HandleFunc("GET /notes/{id}", a.signedIn(a.read))
	mux.HandleFunc("POST /notes/{id}", a.signedIn(a.change))
	mux.HandleFunc("POST /notes/{id}/delete", a.signedIn(a.delete))
	mux.HandleFunc("GET /whoami", a.signedIn(a.whoami))
	mux.HandleFunc("GET /about", a.about)
	mux.HandleFunc("GET /style.css", a.style)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, Person{}, http.StatusNotFound, "There is nothing at this address.")
	})
	// Browsers say where a form comes from; a form of another site is refused.
	csrf := http.NewCrossOriginProtection()
	csrf.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, Person{}, http.StatusForbidden, "Another site sent this form in your name, so nothing was done.")
	}))
	return protect(csrf.Handler(mux)), nil
}

func protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		next.ServeHTTP(w, r)
	})
}

// signedIn lets only requests with a good assertion pass.
func (a *app) signedIn(next func(http.ResponseWriter, *http.Request, Person)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := a.check.verify(r)
		if err != nil {
			a.o.Log.Warn("a request was refused", "reason", err.Error())
			a.fail(w, Person{}, http.StatusUnauthorized, "This application is reached through Troth only. Open "+a.o.Issuer+".")
			return
		}
		next(w, r, who)
	}
}

func (a *app) list(w http.ResponseWriter, r *http.Request, who Person) {
	if !who.MayRead() {
		a.fail(w, who, http.StatusForbidden, "You work in no organisation at the moment. Choose one on your account's page, or ask to be invited.")
		return
	}
	list, err := a.store.list(who.Tenant)
	if err != nil {
		a.broken(w, who, err)
		return
	}
	a.page(w, who, http.StatusOK, "list", "Notes", map[string]any{"Notes": list})
}

func (a *app) write(w http.ResponseWriter, r *http.Request, who Person) {
	if !who.MayWrite() {
		a.fail(w, who, http.StatusForbidden, "As "+orNobody(who.Role())+" you may read notes, not write them. An administrator can change your role.")
		return
	}
	title, text, wrong := noteFields(r)
	if wrong != "" {
		a.fail(w, who, http.StatusUnprocessableEntity, wrong)
		return
	}
	n := Note{ID: rand.Text(), Title: title, Text: text, Author: who.Account, AuthorName: who.Label(), WrittenAt: a.o.Now().UTC()}
	if err := a.store.add(who.Tenant, n); err != nil {
		a.broken(w, who, err)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (a *app) read(w http.ResponseWriter, r *http.Request, who Person) {
	if !who.MayRead() {
		a.broken(w, who, errMissing)
		return
	}
	n, err := a.store.get(who.Tenant, r.PathValue("id"))
	if err != nil {
		a.broken(w, who, err)
		return
	}
	a.page(w, who, http.StatusOK, "note", n.Title, map[string]any{"Note": n, "MayChange": who.MayChange(n)})
}

func (a *app) change(w http.ResponseWriter, r *http.Request, who Person) {
	title, text, wrong := noteFields(r)
	if wrong != "" {
		a.fail(w, who, http.StatusUnprocessableEntity, wrong)
		return
	}
	a.edit(w, r, who, func(n *Note) bool {
		n.Title, n.Text, n.ChangedAt, n.ChangedBy = title, text, a.o.Now().UTC(), who.Label()
		return true
	})
}

func (a *app) delete(w http.ResponseWriter, r *http.Request, who Person) {
	a.edit(w, r, who, func(*Note) bool { return false })
}

var errNotYours = errors.New("only who wrote a note, an administrator or an owner may change it")

func (a *app) edit(w http.ResponseWriter, r *http.Request, who Person, fn func(*Note) (keep bool)) {
	if !who.MayRead() {
		a.broken(w, who, errMissing)
		return
	}
	err := a.store.edit(who.Tenant, r.PathValue("id"), func(n *Note) (bool, error) {
		if !who.MayChange(*n) {
			return true, errNotYours
		}
		return fn(n), nil
	})
	if err != nil {
		a.broken(w, who, err)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// noteFields reads a note from a form, or says what is wrong with it.
func noteFields(r *http.Request) (title, text, wrong string) {
	if err := r.ParseForm(); err != nil {
		return "", "", "The form could not be read, or is too large."
	}
	title, text = strings.TrimSpace(r.PostForm.Get("title")), strings.TrimSpace(r.PostForm.Get("text"))
	switch {
	case !utf8.ValidString(title) || !utf8.ValidString(text):
		return "", "", "The note is not written in UTF-8."
	case title == "":
		return "", "", "Give the note a title."
	case utf8.RuneCountInString(title) > maxTitle:
		return "", "", fmt.Sprintf("The title has more than %d characters.", maxTitle)
	case utf8.RuneCountInString(text) > maxText:
		return "", "", fmt.Sprintf("The note has more than %d characters.", maxText)
	}
	return title, text, ""
}

func orNobody(role string) string {
	if role == "" {
		return "somebody without a role"
	}
	return role
}
