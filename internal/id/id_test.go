package id_test

import (
	"sort"
	"strings"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
)

func TestRoundTripAndTime(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, int(789*time.Millisecond), time.UTC)
	a := id.New[id.Account](now)
	if !strings.HasPrefix(string(a), "acc_") || len(a) != 30 {
		t.Fatalf("made %q", a)
	}
	if b, err := id.Parse[id.Account](string(a)); err != nil || b != a || !id.Time(b).Equal(now) {
		t.Errorf("parsed %q at %v: %v", b, id.Time(b), err)
	}
}

func TestIdentifiersSortByTime(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var made []string
	for i := range 200 {
		made = append(made, string(id.New[id.Event](now.Add(time.Duration(i)*time.Millisecond))))
	}
	if !sort.StringsAreSorted(made) {
		t.Error("not in order of time")
	}
}

func TestIdentifiersOfOneMillisecondSort(t *testing.T) {
	at := time.UnixMilli(1_795_000_000_000)
	for range 50 {
		for _, later := range []time.Duration{250 * time.Nanosecond, time.Microsecond, 999 * time.Microsecond} {
			if a, b := id.New[id.Event](at), id.New[id.Event](at.Add(later)); a >= b {
				t.Fatalf("%s was made %s before %s and sorts after it", a, later, b)
			}
		}
	}
}

func TestPlatformIsATenant(t *testing.T) {
	if got, err := id.Parse[id.Tenant](string(id.Platform)); err != nil || got != id.Platform {
		t.Errorf("%q: %v", got, err)
	}
}

func TestParseRefuses(t *testing.T) {
	good := string(id.New[id.Tenant](time.Now()))
	for _, s := range []string{"", good[:29], good + "0", strings.ToUpper(good), "acc" + good[3:], good[:3] + "-" + good[4:],
		good[:29] + "1", good[:28] + "l0", " " + good[1:], strings.Repeat("ten_", 8)[:30]} {
		if got, err := id.Parse[id.Tenant](s); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%q became %q: %v", s, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(string(id.New[id.Session](time.Now())))
	f.Add("ses_zzzzzzzzzzzzzzzzzzzzzzzzzz")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := id.Parse[id.Session](s)
		if err == nil && string(v) != s {
			t.Errorf("%q became %q", s, v)
		}
		id.Time(id.Session(s))
	})
}
