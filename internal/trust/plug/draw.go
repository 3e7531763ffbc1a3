package plug

import (
	"fmt"
	"time"

	"troth/internal/cli"
	"troth/verify"
)

func when(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// draw is the verdict for a person.
func (v verdict) draw(t *cli.Table, log bool) {
	if log {
		v.drawLog(t)
	}
	if p := v.Proof; p != nil {
		t.Line("")
		t.Line("The proof holds: this event stood in the log when the checkpoint of size %d was signed.", p.Size)
		t.Row("Event", p.Event)
		t.Row("Class", p.Class)
		t.Row("Recorded at", p.At)
		t.Row("Log", p.Tenant)
		t.Row("Entry", p.Entry)
		for _, s := range p.Sections {
			if s.Open() {
				t.Row("Section "+s.Name, string(s.Bytes))
			} else {
				t.Row("Section "+s.Name, "withheld or destroyed; its digest fits")
			}
		}
	}
	t.Line("")
	for _, f := range v.Findings {
		t.Line("%s  %s", f.Code, f.Where)
		t.Line("    %s", f.What)
		if f.Expected != "" || f.Seen != "" {
			t.Line("    expected %s", f.Expected)
			t.Line("    seen     %s", f.Seen)
		}
	}
	if v.More > 0 {
		t.Line("and %d more", v.More)
	}
	if v.OK {
		t.Line("Nothing wrong was found.")
	}
	if v.Notice != "" {
		t.Line("%s", v.Notice)
	}
}

func (v verdict) drawLog(t *cli.Table) {
	t.Row("Log", v.Origin)
	t.Row("Entries", fmt.Sprintf("%d: %d tenant checkpoints, %d evidence, %d epoch markers", v.Size, v.Entries[verify.KindTenant.String()], v.Entries[verify.KindEvidence.String()], v.Entries[verify.KindEpoch.String()]))
	t.Row("Root", v.Root)
	if v.Seen != nil {
		t.Row("Continues", fmt.Sprintf("the checkpoint of size %d that was seen before", *v.Seen))
	}
	for _, e := range v.Epochs {
		t.Row("Epoch", fmt.Sprintf("%d, opened on %s: the log was taken back from %d entries", e.Number, e.At.Format(time.RFC3339), e.Size))
	}
	t.Row("Evidence", fmt.Sprintf("%d examined, %d older not", v.Evidence, v.Unread))
	if !v.Document {
		t.Line("There is no trust document: no claims were checked.")
		return
	}
	t.Line("")
	t.Head("claim", "stated", "derived", "counts until")
	for _, c := range v.Claims {
		t.Row(c.ID, string(c.Stated), string(c.Derived), when(c.FreshUntil))
	}
}
