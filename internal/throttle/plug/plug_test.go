package plug

import (
	"testing"

	"troth/internal/part"
	"troth/internal/retention"
)

// The part alone has no gaps that would keep the program from starting.
func TestPartIsComplete(t *testing.T) {
	p := New()
	if err := part.Check([]part.Part{p}); err != nil {
		t.Error(err)
	}
	if err := retention.Check(p.Tables, p.Retention); err != nil {
		t.Error(err)
	}
	if err := part.Check([]part.Part{p, p}); err == nil {
		t.Error("the same part twice passes")
	}
}
