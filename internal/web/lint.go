package web

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// spoken are the attributes that a person hears or reads.
var spoken = []string{"placeholder", "aria-label", "title", "alt", "data-label", "data-confirm", "data-cancel", "aria-description"}

// LintTemplates finds what is not translated in the templates of a file
// system: text outside of {{t …}}, and the same in attributes that a person
// reads. Each finding is "file:line: what". Elements with translate="no" are
// left alone, and so are the definitions of "kind", which is a class, and of
// what ends in "-attributes".
func LintTemplates(pages fs.FS) []string {
	var found []string
	err := fs.WalkDir(pages, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(file) != ".html" {
			return err
		}
		src, err := fs.ReadFile(pages, file)
		if err != nil {
			return err
		}
		l := &linter{file: file, src: string(src)}
		l.run()
		found = append(found, l.found...)
		return nil
	})
	if err != nil {
		found = append(found, err.Error())
	}
	return found
}

// linter walks the source of one template: actions, tags and the text between.
type linter struct {
	file, src string
	at        int
	quiet     []string // the open elements since one with translate="no"
	kind      int      // how deep inside of a definition without text; 0 is outside
	found     []string
}

func (l *linter) report(at int, format string, args ...any) {
	line := 1 + strings.Count(l.src[:at], "\n")
	l.found = append(l.found, fmt.Sprintf("%s:%d: %s", l.file, line, fmt.Sprintf(format, args...)))
}

func (l *linter) run() {
	for l.at < len(l.src) {
		rest := l.src[l.at:]
		switch {
		case strings.HasPrefix(rest, "{{"):
			l.action()
		case strings.HasPrefix(rest, "<!--"):
			l.past("-->")
		case strings.HasPrefix(rest, "<") && len(rest) > 1 && (rest[1] == '/' || rest[1] == '!' || unicode.IsLetter(rune(rest[1]))):
			l.tag()
		default:
			l.text()
		}
	}
}

func (l *linter) past(end string) string {
	rest := l.src[l.at:]
	i := strings.Index(rest, end)
	if i < 0 {
		l.at = len(l.src)
		return rest
	}
	l.at += i + len(end)
	return rest[:i]
}

// action steps over {{…}}; a "}}" inside of a string does not end it.
func (l *linter) action() {
	start := l.at
	if strings.HasPrefix(strings.TrimPrefix(l.src[l.at+2:], "-"), "/*") || strings.HasPrefix(l.src[l.at:], "{{- /*") {
		l.past("}}")
		return
	}
	for l.at += 2; l.at < len(l.src); {
		switch c := l.src[l.at]; {
		case c == '"' || c == '`':
			l.at++
			for l.at < len(l.src) && l.src[l.at] != c {
				if c == '"' && l.src[l.at] == '\\' {
					l.at++
				}
				l.at++
			}
			l.at++
		case strings.HasPrefix(l.src[l.at:], "}}"):
			l.at += 2
			l.define(l.src[start:l.at])
			return
		default:
			l.at++
		}
	}
}

// markup are the definitions that hold no text: the class of the page, and
// attributes of a tag that stands elsewhere.
var markup = regexp.MustCompile(`^"(kind|[a-z-]+-attributes)"$`)

// define notices where a definition without text begins and ends.
func (l *linter) define(action string) {
	words := strings.Fields(strings.Trim(action, "{}- "))
	switch {
	case len(words) == 0:
	case l.kind == 0 && len(words) == 2 && words[0] == "define" && markup.MatchString(words[1]):
		l.kind = 1
	case l.kind > 0 && slices.Contains([]string{"if", "with", "range", "block", "define"}, words[0]):
		l.kind++
	case l.kind > 0 && words[0] == "end":
		l.kind--
	}
}

// text checks the text up to the next tag or action.
func (l *linter) text() {
	start := l.at
	for l.at++; l.at < len(l.src) && l.src[l.at] != '<' && !strings.HasPrefix(l.src[l.at:], "{{"); l.at++ {
	}
	words := strings.TrimSpace(l.src[start:l.at])
	if len(l.quiet) == 0 && l.kind == 0 && strings.ContainsFunc(entities.Replace(words), unicode.IsLetter) {
		l.report(start, "the text %q is not translated: put it into {{t …}}", clip(words, 60))
	}
}

// entities are references that are not words.
var entities = strings.NewReplacer("&nbsp;", " ", "&middot;", " ", "&amp;", " ", "&lt;", " ", "&gt;", " ", "&ndash;", " ", "&mdash;", " ")

// tag reads <name attributes> or </name>, with actions between the attributes.
func (l *linter) tag() {
	start := l.at
	l.at++
	closing := strings.HasPrefix(l.src[l.at:], "/")
	name := l.word("/")
	translate := true
	for l.at < len(l.src) && l.src[l.at] != '>' {
		switch {
		case strings.HasPrefix(l.src[l.at:], "{{"):
			l.action()
		case isSpace(l.src[l.at]) || l.src[l.at] == '/':
			l.at++
		default:
			key, value, at := l.attribute()
			if key == "translate" && value == "no" {
				translate = false
			}
			if slices.Contains(spoken, key) && len(l.quiet) == 0 && strings.ContainsFunc(value, unicode.IsLetter) {
				l.report(at, "the attribute %s=%q is not translated: put it into {{t …}}", key, clip(value, 60))
			}
		}
	}
	l.at++
	l.nest(name, closing, translate, l.src[start:min(l.at, len(l.src))])
}

// nest keeps track of the elements in which nothing is translated.
func (l *linter) nest(name string, closing, translate bool, tag string) {
	switch {
	case closing:
		if i := slices.Index(l.quiet, name); i >= 0 && l.quiet[len(l.quiet)-1] == name {
			l.quiet = l.quiet[:len(l.quiet)-1]
		}
	case strings.HasSuffix(tag, "/>") || slices.Contains(void, name):
	case !translate || len(l.quiet) > 0:
		l.quiet = append(l.quiet, name)
	}
}

var void = []string{"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}

// word reads a name, after leaving out one of the characters in skip.
func (l *linter) word(skip string) string {
	for l.at < len(l.src) && strings.ContainsRune(skip, rune(l.src[l.at])) {
		l.at++
	}
	start := l.at
	for l.at < len(l.src) && !isSpace(l.src[l.at]) && !strings.ContainsRune(`>/="'`, rune(l.src[l.at])) && !strings.HasPrefix(l.src[l.at:], "{{") {
		l.at++
	}
	return strings.ToLower(l.src[start:l.at])
}

// attribute reads name="value". The value comes without its actions.
func (l *linter) attribute() (key, value string, at int) {
	at = l.at
	if key = l.word(""); l.at == at {
		l.at++ // a stray character
		return "", "", at
	}
	if l.at >= len(l.src) || l.src[l.at] != '=' {
		return key, "", at
	}
	l.at++
	if l.at >= len(l.src) || l.src[l.at] != '"' && l.src[l.at] != '\'' {
		return key, l.word(""), at
	}
	quote := l.src[l.at]
	var b strings.Builder
	for l.at++; l.at < len(l.src) && l.src[l.at] != quote; {
		if strings.HasPrefix(l.src[l.at:], "{{") {
			l.action()
			continue
		}
		b.WriteByte(l.src[l.at])
		l.at++
	}
	l.at++
	return key, b.String(), at
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' }
