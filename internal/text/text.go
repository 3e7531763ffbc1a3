// Package text is the one catalogue through which every sentence goes that a
// person reads: pages, mails, errors, the sentences of the log.
//
// The English sentence is its own key, as in gettext: code stays readable, and
// a sentence without a translation is shown in English, never as a code.
// A translation is a table from English formats to formats of another language
// (see [NewCatalogue]); English has none. A format takes the verbs of package
// fmt; a translation may reorder them with explicit indexes (%[2]s).
//
// What people write themselves, and others read, is made safe to read here too:
// names ([ReadName]) and the domains of mail addresses ([Address]), which must not
// look like something else (Unicode TR 36).
//
// Package text does not know about people or requests: who renders picks the
// [Printer] by the Accept-Language header or the account's setting.
package text

import (
	"fmt"
	"strings"

	"golang.org/x/text/language"
)

// Text is a sentence that has not been translated yet: a format and what
// fills it.
type Text struct {
	Format string
	Args   []any
}

// New makes a Text from an English format and its arguments. An argument that
// is itself a Text is translated with it.
func New(format string, args ...any) Text { return Text{format, args} }

// String is the sentence in English, for logs and terminals.
func (t Text) String() string {
	if len(t.Args) == 0 {
		return t.Format
	}
	return fmt.Sprintf(t.Format, t.Args...)
}

// IsZero reports whether there is no sentence.
func (t Text) IsZero() bool { return t.Format == "" }

// Printer renders sentences in one language. The zero Printer is English.
type Printer struct {
	tag     language.Tag
	entries map[string]string // English format → format; nil is English
}

// Catalogue holds the translations of all languages.
type Catalogue struct {
	matcher language.Matcher
	all     []*Printer // English first
}

// NewCatalogue makes a catalogue from translations: language tag (BCP 47) →
// English format → translated format. English needs no entry. A translation
// that takes other values than its English sentence is refused.
func NewCatalogue(translations map[string]map[string]string) (*Catalogue, error) {
	c := &Catalogue{all: []*Printer{{tag: language.English}}}
	tags := []language.Tag{language.English}
	for name, entries := range translations {
		tag, err := language.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("reading the language tag %q: %w", name, err)
		}
		for key, format := range entries {
			if strings.Count(key, "%") != strings.Count(format, "%") {
				return nil, fmt.Errorf("the translation of %q to %s takes other values than the English sentence", key, tag)
			}
		}
		c.all = append(c.all, &Printer{tag: tag, entries: entries})
		tags = append(tags, tag)
	}
	c.matcher = language.NewMatcher(tags)
	return c, nil
}

// English is the catalogue without translations.
func English() *Catalogue {
	return &Catalogue{all: []*Printer{{tag: language.English}}, matcher: language.NewMatcher([]language.Tag{language.English})}
}

// Printer picks the language for an Accept-Language header (RFC 9110, 12.5.4);
// an empty or unreadable header is English.
func (c *Catalogue) Printer(acceptLanguage string) *Printer {
	if len(c.all) == 1 {
		return c.all[0]
	}
	_, i := language.MatchStrings(c.matcher, acceptLanguage)
	return c.all[i]
}

// Language is the printer's language (BCP 47), for the lang attribute of a page.
func (p *Printer) Language() string {
	if p.tag == language.Und {
		return language.English.String()
	}
	return p.tag.String()
}

// Say renders a Text.
func (p *Printer) Say(t Text) string { return p.Sprintf(t.Format, t.Args...) }

// Sprintf renders an English format in the printer's language. A format
// without arguments is a plain sentence, in which % has no meaning.
func (p *Printer) Sprintf(format string, args ...any) string {
	if translated, ok := p.entries[format]; ok {
		format = translated
	}
	if len(args) == 0 {
		return format
	}
	said := make([]any, len(args))
	for i, a := range args {
		if t, ok := a.(Text); ok {
			a = p.Say(t)
		}
		said[i] = a
	}
	return fmt.Sprintf(format, said...)
}
