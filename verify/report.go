package verify

import "fmt"

// Finding is one thing that is wrong, named precisely. It is also an error.
type Finding struct {
	Code     string `json:"code"`               // stable: "tile-differs", "claim-not-derivable"
	Where    string `json:"where"`              // the tile, entry, evidence or claim
	What     string `json:"what"`               // a sentence
	Expected string `json:"expected,omitempty"` // what should be there
	Seen     string `json:"seen,omitempty"`     // what is there
}

// Error is the finding in one line.
func (f *Finding) Error() string {
	s := fmt.Sprintf("%s: %s: %s", f.Code, f.Where, f.What)
	if f.Expected != "" || f.Seen != "" {
		s += fmt.Sprintf(" Expected %s, seen %s.", f.Expected, f.Seen)
	}
	return s
}
