package edge

import (
	"strings"
	"unicode/utf8"

	"troth/internal/fault"
)

// What a path means is decided by two programs: by Troth, which picks the rule,
// and by the application, which picks the page. Where the two could read it
// differently, a stranger chooses the reading. So every reading that a known
// server makes of a path (decoded once, twice or thrice, with "\" as "/",
// without ";parameters", with "//" as "/", without regard to case) must fall
// under the same rule; otherwise the request is refused. What passes is
// forwarded byte for byte.

// ownPrefix is where Troth's own pages stand. Nothing under it goes upstream.
const ownPrefix = "/-/"

// maxDecodes bounds how often a path is decoded; one that still changes after
// that was made to confuse.
const maxDecodes = 3

var errAmbiguous = fault.New(fault.Invalid, "edge.ambiguous_path",
	"This address can be read in more than one way, so it was refused. Use it without dot segments, doubled or encoded slashes, backslashes and semicolons.")

// plainByte marks the bytes of a path that every server reads alike.
var plainByte = func() (t [256]bool) {
	for c := range t {
		switch b := byte(c); {
		case b >= '0' && b <= '9', b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z':
			t[c] = true
		case strings.IndexByte("/-_.~!$&'()*+,=:@", b) >= 0: // RFC 3986, 3.3 without "%" and ";"
			t[c] = true
		}
	}
	return t
}()

// isOwn reports whether the path is one of Troth's own.
func isOwn(path string) bool { return path == "/-" || strings.HasPrefix(path, ownPrefix) }

// shape is what one look at a path tells.
type shape struct {
	plain bool // every server reads it alike, its case aside
	upper bool // it has upper-case letters
}

// shapeOf looks at each byte once and allocates nothing.
func shapeOf(path string) shape {
	s := shape{plain: true}
	for i := 0; i < len(path); i++ {
		c := path[i]
		if !plainByte[c] {
			s.plain = false
		}
		if c >= 'A' && c <= 'Z' {
			s.upper = true
		}
		if c == '/' && i+1 < len(path) && (path[i+1] == '/' || path[i+1] == '.') {
			s.plain = s.plain && path[i+1] == '.' && !dotSegmentAt(path, i+1)
		}
	}
	return s
}

// dotSegmentAt reports whether the segment that begins at i is "." or "..".
func dotSegmentAt(path string, i int) bool {
	end := strings.IndexByte(path[i:], '/')
	if end < 0 {
		end = len(path) - i
	}
	seg := path[i : i+end]
	return seg == "." || seg == ".."
}

// readings calls yield for every reading of a path that is not plain, the path
// as it came first, until yield returns false. It returns an error for a path
// that no reading makes harmless.
func readings(raw string, yield func(string) bool) error {
	if strings.HasPrefix(raw, "//") || strings.ContainsAny(raw, `\?#`) {
		return ambiguity("it begins with two slashes or holds a backslash, a question mark or a number sign") // "//host" is another site to a browser; the others are no characters of a path
	}
	path := raw
	for range maxDecodes + 1 {
		if hasControls(path) || !utf8.ValidString(path) {
			return ambiguity("it holds control characters or is no UTF-8") // a NUL ends the path for some; overlong UTF-8 is "/" for others
		}
		lenient := simplify(path)
		if hasDotSegments(path) || hasDotSegments(lenient) {
			return ambiguity("it holds dot segments")
		}
		if !yield(path) || !yield(lenient) {
			return ambiguity("another rule applies to another reading of it")
		}
		next, ok := decode(path)
		if !ok && path == raw {
			return ambiguity("a percent sign is not followed by two hexadecimal digits") // "%" without two hexadecimal digits, RFC 3986, 2.1
		}
		if !ok || next == path {
			return nil
		}
		path = next
	}
	return ambiguity("it is encoded more than three times")
}

// simplify makes the most forgiving reading: "\" is "/", parameters are
// dropped from each segment, runs of "/" are one, and a decoded "?" or "#" ends
// the path.
func simplify(path string) string {
	var b strings.Builder
	b.Grow(len(path))
	inParams := false
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '\\' {
			c = '/'
		}
		if c == '?' || c == '#' {
			break
		}
		switch {
		case c == '/':
			inParams = false
			if s := b.String(); s == "" || s[len(s)-1] != '/' {
				b.WriteByte('/')
			}
		case c == ';':
			inParams = true
		case !inParams:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func hasDotSegments(path string) bool {
	for i := 0; i < len(path); i++ {
		if (path[i] == '/' || path[i] == '\\') && i+1 < len(path) && path[i+1] == '.' {
			rest := path[i+1:]
			if end := strings.IndexAny(rest, `/\;`); end >= 0 {
				rest = rest[:end]
			}
			if rest == "." || rest == ".." {
				return true
			}
		}
	}
	return false
}

func hasControls(path string) bool {
	for i := 0; i < len(path); i++ {
		if path[i] < 0x20 || path[i] == 0x7f {
			return true
		}
	}
	return false
}

// decode takes one layer of percent-encoding off. It returns false if a "%" is
// not followed by two hexadecimal digits.
func decode(path string) (string, bool) {
	if strings.IndexByte(path, '%') < 0 {
		return path, true
	}
	b := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			b = append(b, path[i])
			continue
		}
		if i+2 >= len(path) {
			return "", false
		}
		hi, ok1 := unhex(path[i+1])
		lo, ok2 := unhex(path[i+2])
		if !ok1 || !ok2 {
			return "", false
		}
		b = append(b, hi<<4|lo)
		i += 2
	}
	return string(b), true
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
