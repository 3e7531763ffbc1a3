package place

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"troth/internal/config"
	"troth/internal/fault"
)

var built = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// database writes a database in the MaxMind format.
func database(t testing.TB, kind string, version int, entries map[string]mmdbtype.Map) []byte {
	t.Helper()
	w, err := mmdbwriter.New(mmdbwriter.Options{
		DatabaseType: kind, BuildEpoch: built.Unix(), IPVersion: version, IncludeReservedNetworks: true, RecordSize: 24,
		Description: map[string]string{"en": "made for tests"}, Languages: []string{"en"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for network, entry := range entries {
		_, n, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Insert(n, entry); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func named(name string) mmdbtype.Map {
	return mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String(name)}}
}

func city(name, country string, lat, lon float64, radius uint16) mmdbtype.Map {
	return mmdbtype.Map{"city": named(name), "country": named(country), "location": mmdbtype.Map{
		"latitude": mmdbtype.Float64(lat), "longitude": mmdbtype.Float64(lon), "accuracy_radius": mmdbtype.Uint16(radius),
	}}
}

// cities is the database that the tests of other packages read as well. Its
// networks are those of documentation (RFC 5737, RFC 3849) and of benchmarks
// (RFC 2544); the loopback is nowhere.
func cities(t testing.TB) []byte {
	return database(t, "Test-City", 6, map[string]mmdbtype.Map{
		"192.0.2.0/24":    city("Graz", "Austria", 47.0707, 15.4395, 20),
		"198.51.100.0/24": city("Wellington", "New Zealand", -41.2866, 174.7756, 50),
		"203.0.113.0/24":  city("Vienna", "Austria", 48.2082, 16.3738, 20),
		"198.18.0.0/24":   {"country": mmdbtype.Map{"iso_code": mmdbtype.String("AT"), "names": mmdbtype.Map{"en": mmdbtype.String("Austria")}}},
		"2001:db8::/48":   city("Montréal", "Canada", 45.5088, -73.5878, 10),
	})
}

const citiesFile = "testdata/cities.mmdb"

func TestMain(m *testing.M) {
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(citiesFile, cities(&testing.B{}), 0o644); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// The file that lies here is the one that is described above.
func TestTheFileOfTheTests(t *testing.T) {
	have, err := os.ReadFile(citiesFile)
	if err != nil {
		t.Fatal(err)
	}
	if want := cities(t); len(have) != len(want) {
		t.Errorf("%s has %d bytes, the one that is described has %d: run with UPDATE=1", citiesFile, len(have), len(want))
	}
}

// shelf is an atlas over a file that a test changes.
type shelf struct {
	*Atlas
	t    *testing.T
	file string
	at   time.Time
	said *bytes.Buffer
}

func newShelf(t *testing.T, content []byte) *shelf {
	s := &shelf{t: t, file: filepath.Join(t.TempDir(), "places.mmdb"), at: built, said: &bytes.Buffer{}}
	if content != nil {
		s.put(content)
	}
	s.Atlas = Open(Config{DatabaseFile: s.file}, func() time.Time { return s.at }, slog.New(slog.NewTextHandler(s.said, nil)))
	t.Cleanup(s.Close)
	return s
}

// put replaces the file by another one.
func (s *shelf) put(content []byte) {
	s.t.Helper()
	if err := os.WriteFile(s.file+".new", content, 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(s.file+".new", s.file); err != nil {
		s.t.Fatal(err)
	}
	s.at = s.at.Add(lookEvery)
}

func (s *shelf) finds(address, want string) {
	s.t.Helper()
	if got := s.Find(netip.MustParseAddr(address)).String(); got != want {
		s.t.Errorf("%s is in %q, want %q", address, got, want)
	}
}

func TestPlacesOfEveryKindOfDatabase(t *testing.T) {
	s := newShelf(t, cities(t))
	for address, want := range map[string]string{
		"192.0.2.7": "Graz, Austria", "::ffff:192.0.2.7": "Graz, Austria", "198.18.0.1": "Austria",
		"2001:db8::1": "Montréal, Canada", "2001:db8:1::1": "2001:db8:1::1", "127.0.0.1": "127.0.0.1", "fe80::1%eth0": "fe80::1",
	} {
		s.finds(address, want)
	}
	if p := s.Find(netip.Addr{}); p.String() != "" || p.Network() != "" || p.Located || p.Named() {
		t.Errorf("nowhere is %+v", p)
	}
	p := s.Find(netip.MustParseAddr("192.0.2.7"))
	if !p.Located || p.Radius != 20 || p.Latitude != 47.0707 || p.Network() != "192.0.2.7" || !p.Named() {
		t.Errorf("the place is %+v", p)
	}
	if p := s.Find(netip.MustParseAddr("198.18.0.1")); p.Located {
		t.Errorf("a country has coordinates: %+v", p)
	}

	networks := newShelf(t, database(t, "Test-ASN", 4, map[string]mmdbtype.Map{
		"192.0.2.0/24":    {"autonomous_system_number": mmdbtype.Uint32(64500), "autonomous_system_organization": mmdbtype.String("Example Telecom")},
		"198.51.100.0/24": {"autonomous_system_number": mmdbtype.Uint32(64501)},
	}))
	networks.finds("192.0.2.7", "Example Telecom")
	networks.finds("198.51.100.7", "AS64501")
	networks.finds("2001:db8::1", "2001:db8::1") // a database of version 4 only

	countries := newShelf(t, database(t, "Test-Country", 6, map[string]mmdbtype.Map{"192.0.2.0/24": {"country": mmdbtype.Map{"iso_code": mmdbtype.String("AT")}}}))
	countries.finds("192.0.2.7", "AT")
}

// What a database says stands in mails and pages: one line, of bounded length,
// and coordinates that are none are not believed.
func TestStrangeRecords(t *testing.T) {
	s := newShelf(t, database(t, "Test-City", 6, map[string]mmdbtype.Map{
		"192.0.2.0/24":    city("Gr\u202eaz\r\nBcc: x", strings.Repeat("Ö", 200), 91, 15, 1),
		"198.51.100.0/24": city("Null", "Island", 0, 0, 0),
		"203.0.113.0/24":  {"city": mmdbtype.String("not a map")},
	}))
	p := s.Find(netip.MustParseAddr("192.0.2.7"))
	if p.City != "GrazBcc: x" || len([]rune(p.Country)) != maxName || p.Located {
		t.Errorf("the place is %+v", p)
	}
	if p := s.Find(netip.MustParseAddr("198.51.100.1")); !p.Located || p.radius() != unsure {
		t.Errorf("the place is %+v", p)
	}
	s.finds("203.0.113.1", "203.0.113.1")
}

// A file that appears, changes, breaks, vanishes and comes back: every state is
// told once, and places are found whenever they can be.
func TestTheFileChanges(t *testing.T) {
	s := newShelf(t, nil)
	const here = "192.0.2.7"
	s.finds(here, here)
	s.put(cities(t))
	s.finds(here, "Graz, Austria")
	s.put(database(t, "Test-City", 6, map[string]mmdbtype.Map{"192.0.2.0/24": city("Linz", "Austria", 48.3, 14.3, 5)}))
	s.finds(here, "Linz, Austria")
	s.put([]byte("this is no database"))
	s.finds(here, here)
	s.finds(here, here)
	s.put(cities(t))
	s.finds(here, "Graz, Austria")
	if err := os.Remove(s.file); err != nil {
		t.Fatal(err)
	}
	s.finds(here, "Graz, Austria") // nobody has looked yet
	for range 3 {
		s.at = s.at.Add(lookEvery)
		s.finds(here, here)
	}
	if n := strings.Count(s.said.String(), "cannot be used"); n != 3 {
		t.Errorf("%d warnings, want one for each of three states:\n%s", n, s.said)
	}
	if n := strings.Count(s.said.String(), "was read"); n != 3 {
		t.Errorf("%d databases were read, want 3:\n%s", n, s.said)
	}
}

// A database whose file is cut short under the running program is given up; the
// program is not.
func TestAFileThatIsCutShort(t *testing.T) {
	entries := map[string]mmdbtype.Map{}
	for i := range 2000 {
		entries[fmt.Sprintf("198.18.%d.%d/32", i/250, i%250)] = city(fmt.Sprintf("City %d", i), "Testland", 1, float64(i%90), 1)
	}
	s := newShelf(t, database(t, "Test-City", 6, entries))
	s.finds("198.18.7.200", "City 1950, Testland")
	if err := os.Truncate(s.file, 5000); err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		s.Find(netip.AddrFrom4([4]byte{198, 18, byte(i / 250), byte(i % 250)}))
	}
	s.finds("198.18.7.200", "198.18.7.200")
	if !strings.Contains(s.said.String(), "cut short") {
		t.Errorf("the log does not say what happened:\n%s", s.said)
	}
	if h := s.Health(); h.Err == nil {
		t.Error("the doctor finds nothing")
	}
	s.put(cities(t))
	s.finds("192.0.2.7", "Graz, Austria")
}

func TestHealth(t *testing.T) {
	whole := cities(t)
	damaged := bytes.Clone(whole)
	copy(damaged[bytes.Index(damaged, []byte("Graz"))-1:], "\xff\xff\xff\xff") // a type that there is not
	for name, c := range map[string]struct {
		content []byte
		broken  bool
	}{"whole": {whole, false}, "missing": {nil, true}, "empty": {[]byte{}, true}, "damaged": {damaged, true}, "half": {whole[:len(whole)/2], true}} {
		s := newShelf(t, c.content)
		h := s.Health()
		if (h.Err != nil) != c.broken {
			t.Errorf("%s: %+v", name, h)
		}
		if !c.broken && (h.Type != "Test-City" || !h.Built.Equal(built)) {
			t.Errorf("%s: %+v", name, h)
		}
	}
	var none *Atlas
	if h := none.Health(); h != (Health{}) {
		t.Errorf("without an atlas: %+v", h)
	}
	if h := Open(Config{}, time.Now, slog.New(slog.DiscardHandler)).Health(); h != (Health{}) {
		t.Errorf("without a file: %+v", h)
	}
	if p := none.Find(netip.MustParseAddr("192.0.2.7")); p.String() != "192.0.2.7" {
		t.Errorf("without an atlas, a place is %+v", p)
	}
}

// Places are found while the file changes.
func TestManyAtOnce(t *testing.T) {
	s := newShelf(t, cities(t))
	var clock sync.Mutex
	s.now = func() time.Time { clock.Lock(); defer clock.Unlock(); s.at = s.at.Add(time.Second); return s.at }
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				if got := s.Find(netip.MustParseAddr("192.0.2.7")).String(); got != "Graz, Austria" {
					t.Errorf("found %q", got)
				}
			}
		})
	}
	for range 50 {
		if err := os.WriteFile(s.file+".new", cities(t), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(s.file+".new", s.file); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
}

func at(lat, lon, radius float64) Place {
	return Place{Located: true, Latitude: lat, Longitude: lon, Radius: radius}
}

// Known distances: the circumference, and two pairs of cities.
func TestDistance(t *testing.T) {
	for _, c := range []struct {
		from, to Place
		want     float64
	}{
		{at(0, 0, 1), at(0, 180, 1), math.Pi * earth},
		{at(90, 0, 1), at(-90, 77, 1), math.Pi * earth},
		{at(0, 179.5, 1), at(0, -179.5, 1), earth * math.Pi / 180}, // across the date line
		{at(47.0707, 15.4395, 1), at(47.0707, 15.4395, 1), 0},
		{at(51.4700, -0.4543, 1), at(40.6413, -73.7781, 1), 5540}, // Heathrow to Kennedy
		{at(47.0707, 15.4395, 1), at(48.2082, 16.3738, 1), 145},   // Graz to Vienna
		{at(10, 10, 1), Place{}, 0},
	} {
		got, back := c.from.distance(c.to), c.to.distance(c.from)
		if math.Abs(got-c.want) > max(1, c.want*0.003) || math.Abs(got-back) > 1e-6 {
			t.Errorf("%+v to %+v: %.1f and back %.1f, want %.1f", c.from, c.to, got, back, c.want)
		}
	}
}

func TestTooFar(t *testing.T) {
	graz, vienna, wellington := at(47.0707, 15.4395, 20), at(48.2082, 16.3738, 20), at(-41.2866, 174.7756, 50)
	for name, c := range map[string]struct {
		from, to Place
		within   time.Duration
		want     bool
	}{
		"around the world within an hour":  {graz, wellington, time.Hour, true},
		"around the world within a day":    {graz, wellington, 24 * time.Hour, false},
		"the next city at once":            {graz, vienna, time.Second, false},
		"a clock that went back":           {graz, vienna, -time.Hour, false},
		"far with a clock that went back":  {graz, wellington, -time.Hour, true},
		"far, but nobody knows how far":    {graz, at(40, -100, 20000), time.Hour, false},
		"without coordinates":              {graz, Place{Country: "New Zealand"}, time.Second, false},
		"radii that are unknown are large": {at(0, 0, 0), at(0, 3.8, 0), time.Second, false}, // 422 km, less 200, in 225
		"and no larger than that":          {at(0, 0, 0), at(0, 3.9, 0), time.Second, true},  // 434 km
	} {
		if _, got := TooFar(c.from, c.to, c.within); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if d, _ := TooFar(graz, wellington, time.Hour); d < 17000 || d > 18500 {
		t.Errorf("Graz and Wellington are %.0f km apart", d)
	}
}

func TestConfig(t *testing.T) {
	var c Config
	if err := config.Decode("test.toml", []byte("[place]\ndatabase_file = \"/var/lib/GeoIP/GeoLite2-City.mmdb\"\n"), c.Sections()...); err != nil || c.DatabaseFile == "" {
		t.Errorf("reading a good section: %v", err)
	}
	for path, good := range map[string]bool{"": true, "/somewhere": true, "here.mmdb": false} {
		c := Config{DatabaseFile: path}
		if err := c.check(); (err == nil) != good || err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	a := Open(Config{DatabaseFile: citiesFile}, time.Now, slog.New(slog.DiscardHandler))
	defer a.Close()
	ip := netip.MustParseAddr("192.0.2.7")
	for b.Loop() {
		a.Find(ip)
	}
}
