package verify

import (
	"fmt"
	"strings"
	"time"
)

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

// Report is what an examination found.
type Report struct {
	Origin   string           `json:"origin"`
	Pinned   bool             `json:"pinned"` // false: the log brought its own key, so it is self-consistent only
	Size     int64            `json:"size"`
	Root     string           `json:"root"`
	From     int64            `json:"from,omitempty"`      // the first entry that was read
	Entries  map[string]int64 `json:"entries"`             // by kind
	Epochs   []Epoch          `json:"epochs,omitempty"`    // times that the log was taken back, openly
	Seen     *int64           `json:"seen_size,omitempty"` // size of the checkpoint seen before, when there was one
	Claims   []ClaimVerdict   `json:"claims"`
	Evidence int              `json:"evidence"` // pieces of evidence that were examined
	Unread   int64            `json:"unread"`   // older pieces that were not, because there were too many
	Document bool             `json:"document"` // false: there was no trust document to check
	Findings []Finding        `json:"findings"`
	More     int              `json:"more"` // findings beyond the first thousand

	differences int64
}

// ClaimVerdict is what the evidence says about a claim, beside what the trust
// document says.
type ClaimVerdict struct {
	ID         string     `json:"id"`
	Stated     Status     `json:"stated"`
	Derived    Status     `json:"derived"`
	FreshUntil *time.Time `json:"fresh_until,omitempty"`
}

const maxFindings = 1000

func (r *Report) add(findings ...Finding) {
	for _, f := range findings {
		if len(r.Findings) == maxFindings {
			r.More++
			continue
		}
		r.Findings = append(r.Findings, f)
	}
}

// OK reports whether nothing was found.
func (r *Report) OK() bool { return len(r.Findings) == 0 }

// Has reports whether there is a finding with the code.
func (r *Report) Has(code string) bool {
	for _, f := range r.Findings {
		if f.Code == code {
			return true
		}
	}
	return false
}

// sentence makes an error's text a sentence.
func sentence(err error) string {
	s := err.Error()
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}
