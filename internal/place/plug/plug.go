// Package plug is what places plug into Troth: the examination of the GeoIP
// database that the operator gave, which `troth doctor` prints. Places have no page
// of their own: they stand beside the sessions, and in the mails about them. It
// promises to change nothing, and never to open the network.
package plug

import (
	"context"
	"time"

	"troth/internal/part"
	"troth/internal/place"
	"troth/internal/text"
)

// old is when a database is worth replacing: addresses move, and publishers
// write a new one at least every month.
const old = 90 * 24 * time.Hour

// New returns the part. The atlas may be nil where nothing is open.
func New(atlas *place.Atlas, config *place.Config, now func() time.Time) part.Part {
	return part.Part{
		Name: "place", Config: config.Sections(),
		Doctor: []part.Examination{{Name: "places", Run: func(context.Context) []part.Finding { return examine(atlas.Health(), now()) }}},
	}
}

func examine(h place.Health, now time.Time) []part.Finding {
	switch {
	case h.File == "":
		return []part.Finding{part.Fine("No GeoIP database is configured: sessions and mails show addresses.")}
	case h.Err != nil:
		return []part.Finding{{
			Grade:  part.Problem,
			Says:   text.New("The GeoIP database %s cannot be used, so addresses are shown and nobody is told of impossible travel: %v.", h.File, h.Err),
			Remedy: text.New("Download it again and rename it over the file, readable by this user; or leave place.database_file empty."),
		}}
	case now.Sub(h.Built) > old:
		return []part.Finding{{
			Grade: part.Advice, Says: text.New("The GeoIP database %s is of %s; places may be wrong.", h.Type, h.Built.Format(time.DateOnly)),
			Remedy: text.New("Download a newer one and rename it over the file."),
		}}
	}
	return []part.Finding{part.Fine("The GeoIP database %s is whole and of %s.", h.Type, h.Built.Format(time.DateOnly))}
}
