package edge

import (
	"strings"
	"sync"
	"time"

	"troth/internal/fault"
)

// The links of mails hold secrets in their paths. A page that takes one says so
// (web.Route.Redact), and its pattern is recorded. But such a link may come in
// another form, with another method or under another name, and then no page
// knows it: of what lies under /-/, or might, and matches no page, only the
// words are recorded that pages are made of.

// tokenLen is the length of every secret in a link: 32 bytes in base64url.
const tokenLen = 43

// recordable is the path of a request to no page as it may be recorded. rule is
// nil when it could not be found.
func (e *Edge) recordable(path string, rule *rule) string {
	if rule != nil && rule != own {
		return path // the application's, and nothing of it is ours to judge
	}
	if rule == nil && !mayBeOwn(path) {
		return hideTokens(path)
	}
	var b strings.Builder
	for i, segment := range strings.Split(path, "/") {
		if i > 0 {
			b.WriteByte('/')
		}
		if segment != "" && !e.words[segment] {
			segment = "{other}"
		}
		if b.WriteString(segment); b.Len() > maxLogPath {
			break
		}
	}
	return b.String()
}

// learn remembers the words of a page's address.
func (e *Edge) learn(path string) {
	for segment := range strings.SplitSeq(path, "/") {
		if !strings.ContainsAny(segment, "{}") {
			e.words[segment] = true
		}
	}
}

// mayBeOwn reports whether a path could be meant for one of Troth's own pages,
// in whatever disguise.
func mayBeOwn(path string) bool {
	for range 8 {
		p := strings.ReplaceAll(path, `\`, "/")
		if strings.Contains(p, "/-") || strings.Contains(p, "-/") {
			return true
		}
		next, ok := decode(path)
		if !ok || next == path {
			return false
		}
		path = next
	}
	return true // encoded so often that it hides something
}

// hideTokens replaces every run of characters that is long enough for a secret
// of Troth's. A digest in hexadecimal is longer, and no secret.
func hideTokens(path string) string {
	if len(path) < tokenLen {
		return path
	}
	var b strings.Builder
	for rest := path; rest != ""; {
		n := 0
		for n < len(rest) && (isAlnum(rest[n]) || rest[n] == '-' || rest[n] == '_') {
			n++
		}
		if n == tokenLen {
			b.WriteString("{token}")
		} else {
			b.WriteString(rest[:n])
		}
		if n < len(rest) {
			b.WriteByte(rest[n])
			n++
		}
		rest = rest[n:]
	}
	return b.String()
}

// oddEvery is how often the log says for what reason requests are refused.
const oddEvery = time.Minute

// odd tells the operator why requests are refused before anything else is
// looked at, without letting strangers write the log: one line a minute for
// each of the reasons, which are few.
type odd struct {
	mu   sync.Mutex
	seen map[string]*refusals
}

type refusals struct {
	told  time.Time
	count int
}

// note counts a refusal. It returns how many there were since the last line,
// or 0 when it is too early for the next.
func (o *odd) note(why string, now time.Time) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen == nil {
		o.seen = map[string]*refusals{}
	}
	s := o.seen[why]
	if s == nil {
		s = &refusals{}
		o.seen[why] = s
	}
	s.count++
	if !s.told.IsZero() && now.Sub(s.told) < oddEvery && !now.Before(s.told) {
		return 0
	}
	n := s.count
	s.told, s.count = now, 0
	return n
}

// tell logs the reason of a refusal. The path may hold a secret of the
// application's and is not told: the access line has it.
func (e *Edge) tell(v *visit, err error) {
	f := fault.As(err)
	if f == nil {
		return
	}
	why := f.Message.String()
	if r, ok := f.Unwrap().(reason); ok {
		why = string(r)
	}
	if n := e.odd.note(why, v.at); n > 0 {
		e.o.Log.Info("requests are refused because of their form; this is said at most once a minute",
			"reason", why, "code", f.Code, "requests", n, "last", string(v.id))
	}
}

// reason is why a path is ambiguous. The reasons are constants: nothing in them
// comes from the request.
type reason string

func (r reason) Error() string { return string(r) }

// ambiguity is errAmbiguous with its reason.
func ambiguity(why reason) error {
	return fault.Wrap(why, errAmbiguous.Kind, errAmbiguous.Code, errAmbiguous.Message.Format)
}
