package account_test

import (
	"testing"
	"time"

	"troth/internal/account"
)

func TestSpell(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		14 * 24 * time.Hour: "14 days", 72 * time.Hour: "72 hours", 7*24*time.Hour + time.Hour: "169 hours", time.Hour: "one hour",
		90 * time.Minute: "90 minutes", 30 * time.Minute: "30 minutes", time.Minute: "one minute", 90 * time.Second: "one minute",
	} {
		if got := account.Spell(d).String(); got != want {
			t.Errorf("%v is written %q, want %q", d, got, want)
		}
	}
}
