package store

import (
	"fmt"
	"strings"
)

// maxParams is the number of parameters that a statement may have: SQLite's
// own limit, half of Postgres's.
const maxParams = 32766

// rewrite turns the $N of a statement into the ?N of SQLite and returns how
// many parameters there are. SQLite reads $1 as a parameter *named* "1" and
// numbers it by its first appearance, so that "$2, $1" would be bound the
// wrong way round without a word; ?N is numbered as it says.
//
// It refuses what Postgres would refuse or read differently: "?", a gap in the
// numbers. Text in quotes and comments stays as it is. It changes no length.
func rewrite(query string) (string, int, error) {
	b := []byte(query)
	used := map[int]bool{}
	most := 0
	for i := 0; i < len(b); {
		if end := skipped(query, i); end > i {
			i = end
			continue
		}
		if b[i] == '?' {
			return "", 0, fmt.Errorf("store: a parameter is written $1, not ?: %.60q", query)
		}
		if b[i] != '$' || i > 0 && inName(b[i-1]) {
			i++
			continue
		}
		n, end := 0, i+1
		for end < len(b) && b[end] >= '0' && b[end] <= '9' && n <= maxParams {
			n = n*10 + int(b[end]-'0')
			end++
		}
		if n < 1 || n > maxParams || end < len(b) && inName(b[end]) {
			return "", 0, fmt.Errorf("store: a parameter is written $1 to $%d: %.60q", maxParams, query)
		}
		b[i] = '?'
		used[n] = true
		most = max(most, n)
		i = end
	}
	if len(used) != most {
		return "", 0, fmt.Errorf("store: the parameters $1 to $%d are not all used: %.60q", most, query)
	}
	return string(b), most, nil
}

// skipped returns where the quoted text or comment that starts at i ends, or i
// when none starts there. What is never closed reaches to the end.
func skipped(s string, i int) int {
	closing := ""
	open := 1
	switch {
	case s[i] == '\'' || s[i] == '"' || s[i] == '`':
		closing = s[i : i+1] // a doubled quote reads as two texts: the same in the end
	case s[i] == '[':
		closing = "]" // a quoted name in SQLite
	case strings.HasPrefix(s[i:], "--"):
		closing, open = "\n", 2
	case strings.HasPrefix(s[i:], "/*"):
		closing, open = "*/", 2
	default:
		return i
	}
	if n := strings.Index(s[i+open:], closing); n >= 0 {
		return i + open + n + len(closing)
	}
	return len(s)
}

// inName reports whether SQLite reads c as part of a name.
func inName(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
