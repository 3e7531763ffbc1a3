// Package plug is what the keys plug into Troth: the claim that what is kept is
// encrypted (D1), with a check that plants a name through the front door and
// looks for it wherever the installation writes, the commands of troth key, and
// what the doctor says about keys that were destroyed.
//
// A new epoch is made by hand (troth key roll), not by a job: to retire the
// older ones makes every older backup of the keyring worthless, and whoever
// does that must make a new one at once.
package plug

import (
	"context"
	"time"

	"troth/internal/audit"
	"troth/internal/keys"
	"troth/internal/part"
	"troth/internal/store"
	"troth/internal/text"
	"troth/internal/trust"
)

// Deps are what the plug needs. They may be zero where nothing is served, as
// for the list of commands.
type Deps struct {
	Keys *keys.Keys
	DB   *store.DB
	Data string   // the data directory, which the check searches
	Skip []string // directories below it that hold keys in the clear: the root
	// Backup takes a backup into an empty directory, as troth backup does. Nil:
	// the check copies the database alone.
	Backup func(ctx context.Context, dir string) error
}

type plug struct{ Deps }

// Events are what happens to the epochs.
var Events = []audit.Type{
	{Name: "keys.roll_begun", Sentence: "{actor} began to put all keys under a new epoch"},
	{Name: "keys.rolled", Sentence: "{actor} made the key epoch {epoch} and put all keys under it"},
	{Name: "keys.retired", Sentence: "{actor} destroyed the key epoch {epoch}, and with it every older backup of the keyring"},
}

// New returns the part.
func New(d Deps) part.Part {
	p := plug{d}
	return part.Part{
		Name:     "keys",
		Events:   Events,
		Claims:   []trust.Claim{p.claim()},
		Commands: commands(),
		Doctor:   []part.Examination{{Name: "destroyed keys", Run: p.examine}},
	}
}

func (p plug) examine(ctx context.Context) []part.Finding {
	all, owed, err := p.Keys.Epochs(ctx)
	switch {
	case err != nil:
		return []part.Finding{{Grade: part.Problem, Says: text.New("The keyring cannot be read: %v.", err), Remedy: text.New("See that the root key files and the keyring can be read by this user.")}}
	case owed > 0:
		return []part.Finding{{
			Grade: part.Advice, Says: text.New("%d destroyed keys still stand in older backups of the keyring, which could be opened.", owed),
			Remedy: text.New("Run troth key roll --retire, then take a backup: the older ones are worthless from then on."),
		}}
	case len(all) > 1:
		return []part.Finding{{
			Grade: part.Advice, Says: text.New("The root has %d epochs; one is enough.", len(all)),
			Remedy: text.New("Run troth key list, and troth key retire for those with no keys, once no backup of the keyring is needed that stands under them."),
		}}
	}
	return []part.Finding{part.Fine("No destroyed key can be opened from an older backup of the keyring.")}
}

const (
	checkPeriod  = 6 * time.Hour
	checkFresh   = 24 * time.Hour
	checkTimeout = 10 * time.Minute
)
