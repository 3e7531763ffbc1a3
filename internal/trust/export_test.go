package trust

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"troth/internal/store"
	"troth/verify"
)

// TestExport writes a log as large as three levels of tiles need, with claims
// in it, and has a stranger examine it. With TROTH_EXPORT_DIR the export goes
// there, for checkers that are not ours (test/fsck); TROTH_EXPORT_ENTRIES is
// how many entries it gets.
func TestExport(t *testing.T) {
	dir, entries := os.Getenv("TROTH_EXPORT_DIR"), 1300
	if dir == "" {
		dir = t.TempDir()
	}
	if s := os.Getenv("TROTH_EXPORT_ENTRIES"); s != "" {
		var err error
		entries, err = strconv.Atoi(s)
		must(t, err)
	}
	h := sqlite(t, claim("A1", "door.tried", pass), claim("A2", "door.other", fail))
	h.exercise()
	for done := 0; done < entries; {
		n := min(entries-done, 10000)
		must(t, h.db.Write(t.Context(), func(tx *store.Tx) error {
			for i := range n {
				if _, err := h.log.Evidence(t.Context(), tx, fmt.Appendf(nil, "evidence %d", done+i)); err != nil {
					return err
				}
			}
			return nil
		}))
		done += n
		for {
			n, err := h.log.Sequence(t.Context())
			must(t, err)
			if n == 0 {
				break
			}
		}
	}
	h.clock.pass(time.Minute)
	h.exercise()
	must(t, h.Export(t.Context(), dir, nil))
	src, err := verify.OpenDirectory(dir)
	must(t, err)
	defer src.Close()
	key, err := verify.ParseKey(h.VKey())
	must(t, err)
	r, err := verify.Log(t.Context(), src, &key, verify.Options{NeedDocument: true, Now: h.clock.now})
	must(t, err)
	if !r.OK() || r.Size < int64(entries) {
		t.Errorf("%d entries: %+v", r.Size, r.Findings)
	}
	if len(r.Claims) != 2 || r.Claims[0].Derived != verify.Proven || r.Claims[1].Derived != verify.Failing {
		t.Errorf("claims %+v", r.Claims)
	}
}
