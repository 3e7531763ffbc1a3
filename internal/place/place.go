package place

import (
	"math"
	"net/netip"
	"strings"
	"time"
	"unicode"
)

// Place is where an address is, as far as that is known.
type Place struct {
	Address netip.Addr // the zero address is nowhere
	City    string     // in English, as are Country and Holder; each may be empty
	Country string
	Holder  string // of the network: "Example Telecom"

	Located   bool    // the coordinates mean something
	Latitude  float64 // degrees, WGS 84
	Longitude float64
	Radius    float64 // kilometres within which it probably is
}

// Named reports whether more is known than the address.
func (p Place) Named() bool { return p.City != "" || p.Country != "" || p.Holder != "" }

// String is the most that is known, for people: "Graz, Austria", or "Austria", or
// the holder of the network, or the address. Of nowhere it is empty.
func (p Place) String() string {
	switch {
	case p.City != "" && p.Country != "":
		return p.City + ", " + p.Country
	case p.City+p.Country != "":
		return p.City + p.Country
	case p.Holder != "":
		return p.Holder
	}
	return p.Network()
}

// Network is the address as text, and empty for nowhere.
func (p Place) Network() string {
	if !p.Address.IsValid() {
		return ""
	}
	return p.Address.String()
}

// earth is the mean radius of the Earth in kilometres (IUGG, R1).
const earth = 6371.0088

// distance is the great-circle distance of the coordinates in kilometres, by the
// haversine formula. It is 0 when one of the places has none.
func (p Place) distance(q Place) float64 {
	if !p.Located || !q.Located {
		return 0
	}
	rad := func(degrees float64) float64 { return degrees * math.Pi / 180 }
	half := func(angle float64) float64 { s := math.Sin(angle / 2); return s * s }
	h := half(rad(q.Latitude-p.Latitude)) + math.Cos(rad(p.Latitude))*math.Cos(rad(q.Latitude))*half(rad(q.Longitude-p.Longitude))
	return 2 * earth * math.Asin(math.Sqrt(min(1, h)))
}

// The bounds of travel. An airliner cruises at about 900 km/h. Two networks of
// one person, at home and on the phone, can be many kilometres apart and used
// within a second; a quarter of an hour at that speed covers them.
const (
	airliner = 900.0 // km/h
	atOnce   = 15 * time.Minute
)

// unsure is the radius of a place whose database does not say one, in kilometres.
const unsure = 100.0

// TooFar reports whether the places are further apart, beyond their radii, than
// an airliner flies in the time. It is false when either has no coordinates. The
// distance is that of the coordinates.
func TooFar(from, to Place, within time.Duration) (distance float64, too bool) {
	distance = from.distance(to)
	sure := distance - from.radius() - to.radius()
	return distance, sure > airliner*max(within, atOnce).Hours()
}

func (p Place) radius() float64 {
	if p.Radius > 0 {
		return p.Radius
	}
	return unsure
}

// maxName is the longest name that is shown, in characters.
const maxName = 80

// shown is a name of a database as people read it: it stands in mails, so it is
// one line, and what is too long is cut.
func shown(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > maxName {
		s = string(r[:maxName-1]) + "…"
	}
	return strings.TrimSpace(s)
}
