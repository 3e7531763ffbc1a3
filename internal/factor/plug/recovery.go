package plug

import (
	"html/template"
	"net/url"
	"strings"

	"troth/internal/factor"
	"troth/internal/secret"
	"troth/internal/text"
	"troth/internal/web"
)

// recoveryData is what the page of recovery codes shows: once, the codes.
type recoveryData struct {
	factor.Overview
	codes []secret.String
	head  string // the first line of the file
}

// Codes are the new codes, or none.
func (d recoveryData) Codes() []string {
	var all []string
	for _, c := range d.codes {
		all = append(all, c.Reveal())
	}
	return all
}

// File is the codes as a text to be saved. It stands in the page, so that they
// are not asked for a second time: nothing here could answer.
func (d recoveryData) File() template.URL {
	content := d.head + "\n\n" + strings.Join(d.Codes(), "\n") + "\n"
	return template.URL("data:text/plain;charset=utf-8," + url.PathEscape(content)) //nolint:gosec // made of codes and a sentence of ours, escaped
}

func (p *plug) showRecovery(r *web.Request) error {
	o, err := p.Factors.Overview(r.Context(), r.Subject)
	if err != nil {
		return err
	}
	return r.Page("factor/recovery", titleRecovery, recoveryData{Overview: o})
}

// makeRecovery shows the codes in its own answer: they are kept nowhere from
// which another page could take them.
func (p *plug) makeRecovery(r *web.Request) error {
	codes, err := p.Factors.MakeRecovery(r.Context(), r.Subject)
	if err != nil {
		o, failed := p.Factors.Overview(r.Context(), r.Subject)
		if failed != nil {
			return failed
		}
		return r.FormPage("factor/recovery", titleRecovery, recoveryData{Overview: o}, err)
	}
	d := recoveryData{codes: codes, head: p.Factors.Printer.Say(text.New("Recovery codes for %s, each good once", p.Factors.Origin))}
	if r.WantsJSON() {
		return r.JSON(struct {
			Codes []string `json:"codes"`
		}{d.Codes()})
	}
	return r.Page("factor/codes", titleRecovery, d)
}
