package audit

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The package's own events.
const (
	typeSegment = "access.segment"
	typeEpoch   = "log.epoch_opened"
	typeExpired = "log.expired"
)

// Events are the types of events that this package writes. [New] knows them
// without being told.
var Events = []Type{
	{Name: typeSegment, Class: ClassAccess, Sentence: "{actor} recorded {count} requests"},
	{Name: typeEpoch, Sentence: "{actor} found the database older than the published log and opened epoch {epoch}: {published} entries had been published, {found} were found"},
	{Name: typeExpired, Sentence: "{actor} destroyed the {class} events of {month}, which had expired"},
}

// withOwn adds the package's own types to those of the others, where the own
// ones may be listed too.
func withOwn(types []Type) []Type {
	all := slices.Clone(Events)
	for _, t := range types {
		if !slices.Contains(Events, t) {
			all = append(all, t)
		}
	}
	return all
}

// kind is a registered type, its sentence cut at the placeholders.
type kind struct {
	Type
	format string // for package text: %s for each placeholder
	fills  []string
}

var (
	typeName    = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$`)
	className   = regexp.MustCompile(`^[a-z]{1,16}$`)
	placeholder = regexp.MustCompile(`\{([a-z][a-z0-9_]*)\}`)
)

// register refuses what would otherwise be found out by a reader: a type
// twice, a type without a sentence, a brace that is no placeholder.
func register(types []Type) (map[string]*kind, error) {
	all := make(map[string]*kind, len(types))
	for _, t := range types {
		if t.Class == "" {
			t.Class = ClassAudit
		}
		k := &kind{Type: t}
		switch {
		case !typeName.MatchString(t.Name):
			return nil, fmt.Errorf("the event type %q is not named like domain.what_happened", t.Name)
		case all[t.Name] != nil:
			return nil, fmt.Errorf("the event type %q is registered twice", t.Name)
		case !className.MatchString(t.Class):
			return nil, fmt.Errorf("the class %q of the event type %q is not 1 to 16 of a–z", t.Class, t.Name)
		case t.Class != ClassAudit && t.Class != ClassAccess:
			return nil, fmt.Errorf("the class %q of the event type %q is neither %q nor %q", t.Class, t.Name, ClassAudit, ClassAccess)
		case strings.TrimSpace(t.Sentence) == "":
			return nil, fmt.Errorf("the event type %q has no sentence", t.Name)
		case t.Outcome > Denied:
			return nil, fmt.Errorf("the event type %q has an unknown outcome", t.Name)
		}
		escaped := strings.ReplaceAll(t.Sentence, "%", "%%")
		k.format = placeholder.ReplaceAllStringFunc(escaped, func(p string) string {
			k.fills = append(k.fills, p[1:len(p)-1])
			return "%s"
		})
		if strings.ContainsAny(k.format, "{}") {
			return nil, fmt.Errorf("the sentence of the event type %q has a brace that is no placeholder", t.Name)
		}
		all[t.Name] = k
	}
	return all, nil
}

// Type is the registered type with a name; the zero Type if there is none.
func (l *Log) Type(name string) Type {
	if k := l.types[name]; k != nil {
		return k.Type
	}
	return Type{}
}

// Types lists the registered types by name, for descriptions of the log.
func (l *Log) Types() map[string]Type {
	all := make(map[string]Type, len(l.types))
	for name, k := range l.types {
		all[name] = k.Type
	}
	return all
}
