package account

import (
	"time"

	"troth/internal/text"
)

// Spell writes how long something lasts as people say it: whole days from a
// week on, otherwise hours, or minutes where they are not whole.
func Spell(d time.Duration) text.Text {
	const day = 24 * time.Hour
	switch {
	case d >= 7*day && d%day == 0:
		return text.New("%d days", int64(d/day))
	case d == time.Hour:
		return text.New("one hour")
	case d%time.Hour == 0:
		return text.New("%d hours", int64(d/time.Hour))
	case d < 2*time.Minute:
		return text.New("one minute")
	}
	return text.New("%d minutes", int64(d/time.Minute))
}
