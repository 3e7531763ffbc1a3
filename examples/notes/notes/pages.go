package notes

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
)

// view is what every page gets.
type view struct {
	Title string
	Who   Person
	Data  map[string]any
}

func (a *app) page(w http.ResponseWriter, who Person, status int, name, title string, data map[string]any) {
	var b bytes.Buffer
	if err := a.pages[name].ExecuteTemplate(&b, "layout", view{title, who, data}); err != nil {
		a.o.Log.Error("rendering a page", "page", name, "error", err.Error())
		http.Error(w, "This page is broken.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the client went away
}

func (a *app) fail(w http.ResponseWriter, who Person, status int, sentence string) {
	a.page(w, who, status, "error", http.StatusText(status), map[string]any{"Sentence": sentence})
}

// broken answers for an error of the store.
func (a *app) broken(w http.ResponseWriter, who Person, err error) {
	switch {
	case errors.Is(err, errMissing):
		a.fail(w, who, http.StatusNotFound, "There is no such note here.")
	case errors.Is(err, errNotYours):
		a.fail(w, who, http.StatusForbidden, "Only who wrote a note, an administrator or an owner may change it.")
	case errors.Is(err, errFull):
		a.fail(w, who, http.StatusConflict, "There is no room for another note. Delete one first.")
	default:
		a.o.Log.Error("keeping notes", "error", err.Error())
		a.fail(w, who, http.StatusInternalServerError, "The notes cannot be read or kept right now. Nothing was changed.")
	}
}

// about is for everybody: a route that may be public.
func (a *app) about(w http.ResponseWriter, r *http.Request) {
	who, err := a.check.verify(r)
	if err != nil {
		who = Person{}
	}
	a.page(w, who, http.StatusOK, "about", "About", nil)
}

// whoami shows what Troth said.
func (a *app) whoami(w http.ResponseWriter, _ *http.Request, who Person) {
	b, err := json.MarshalIndent(who, "", "  ")
	if err != nil { // cannot happen: a struct of texts
		b = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(b, '\n')) // the client went away
}

func (a *app) style(w http.ResponseWriter, _ *http.Request) {
	b, err := files.ReadFile("pages/style.css")
	if err != nil {
		http.Error(w, "missing", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "private, max-age=300")
	_, _ = w.Write(b) // the client went away
}
