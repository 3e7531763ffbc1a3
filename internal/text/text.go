// Package text is the one catalogue through which every sentence goes that a
// person reads: pages, mails, errors, the sentences of the log.
//
// The English sentence is its own key, as in gettext: code stays readable, and
// a sentence without a translation is shown in English, never as a code.
// Translations are TOML files beside this package, LANG.toml, whose keys are
// the English formats; the package embeds them, [Languages] lists them.
// A format takes the verbs of package fmt; a translation may reorder them
// with explicit indexes (%[2]s).
//
// Package text does not know about people or requests: who renders picks the
// [Printer] by the Accept-Language header or the account's setting.
package text

import (
	"fmt"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/message/catalog"
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

// Printer renders sentences in one language.
type Printer struct {
	tag language.Tag
	p   *message.Printer
}

// Catalogue holds the translations of all languages.
type Catalogue struct {
	matcher language.Matcher
	tags    []language.Tag
	builder *catalog.Builder
}

// NewCatalogue makes a catalogue from translations: language tag (BCP 47) →
// English format → translated format. English needs no entry.
func NewCatalogue(translations map[string]map[string]string) (*Catalogue, error) {
	c := &Catalogue{tags: []language.Tag{language.English}, builder: catalog.NewBuilder(catalog.Fallback(language.English))}
	for name, entries := range translations {
		tag, err := language.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("reading the language tag %q: %w", name, err)
		}
		for key, format := range entries {
			if strings.Count(key, "%") != strings.Count(format, "%") {
				return nil, fmt.Errorf("the translation of %q to %s takes other values than the English sentence", key, tag)
			}
			if err := c.builder.SetString(tag, key, format); err != nil {
				return nil, fmt.Errorf("translating %q to %s: %w", key, tag, err)
			}
		}
		c.tags = append(c.tags, tag)
	}
	c.matcher = language.NewMatcher(c.tags)
	return c, nil
}

// English is the catalogue without translations.
func English() *Catalogue {
	c, err := NewCatalogue(nil)
	if err != nil {
		panic(err) // cannot happen: there is nothing to parse
	}
	return c
}

// Languages lists the languages that the catalogue speaks, English first.
func (c *Catalogue) Languages() []language.Tag { return c.tags }

// Printer picks the language for an Accept-Language header (RFC 9110, 12.5.4);
// an empty or unreadable header is English.
func (c *Catalogue) Printer(acceptLanguage string) *Printer {
	_, i := language.MatchStrings(c.matcher, acceptLanguage)
	tag := c.tags[i]
	return &Printer{tag: tag, p: message.NewPrinter(tag, message.Catalog(c.builder))}
}

// Language is the printer's language, for the lang attribute of a page.
func (p *Printer) Language() string { return p.tag.String() }

// Say renders a Text.
func (p *Printer) Say(t Text) string { return p.Sprintf(t.Format, t.Args...) }

// Sprintf renders an English format in the printer's language.
func (p *Printer) Sprintf(format string, args ...any) string {
	if len(args) == 0 && !strings.Contains(format, "%") {
		return p.p.Sprintf(message.Key(format, format))
	}
	for i, a := range args {
		if t, ok := a.(Text); ok {
			args[i] = p.Say(t)
		}
	}
	return p.p.Sprintf(message.Key(format, format), args...)
}
