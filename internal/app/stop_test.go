package app

import (
	"testing"
	"time"

	"troth/internal/config"
	"troth/internal/store"
)

// TestStoppingProvesNothing: an installation that is told to end while checks
// run leaves no evidence that they could not be exercised, so the claims stand
// as they stood.
func TestStoppingProvesNothing(t *testing.T) {
	t.Parallel()
	h := plan(t)
	h.o.idle, h.o.hashing = false, nil // real hashes, because a check looks at them
	h.set.account.PasswordTarget = config.Duration(10 * time.Millisecond)
	h.serve()
	h.soon("a check runs", func() bool {
		all, err := h.in.jobs.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			if s.Name == "trust.exercise" && s.Running > 0 {
				return true
			}
		}
		return false
	})
	h.person("ada") // the checks are well under way
	if err := h.halt(); err != nil {
		t.Fatal(err)
	}
	again := over(t, h.set, h.clock)
	again.o.hashing = nil
	again.serve()
	page, err := again.in.trust.Document(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range page.Claims {
		if c.Status != "pending" && c.Status != "proven" {
			t.Errorf("%s is %s because Troth was stopped", c.ID, c.Status)
		}
	}
	again.read(func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT check_name, error FROM trust_run WHERE error <> '' OR NOT passed`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var check, why string
			if err := rows.Scan(&check, &why); err != nil {
				return err
			}
			t.Errorf("%s: %s", check, why)
		}
		return rows.Err()
	})
}
