package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

func (h *house) lines(f LineFilter) []SegmentLine {
	h.t.Helper()
	lines, err := h.log.Lines(context.Background(), f)
	if err != nil {
		h.t.Fatal(err)
	}
	return lines
}

func TestRequestsAreRecordedInSegments(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		ctx := context.Background()
		ten, ada := h.tenant(), h.account()
		if err := h.keys.Create(ctx, keys.SubjectRef(ada), keySize); err != nil {
			t.Fatal(err)
		}
		from := h.clock.now()
		hers := AccessLine{Method: "GET", Host: "app.example", Path: "/notes/1", Route: "/notes/", Tenant: ten, Account: ada,
			Request: id.New[id.Request](from), IP: netip.MustParseAddr("192.0.2.7"), Agent: `Bro"wser` + "\x01"}
		line, err := h.log.Begin(hers)
		if err != nil {
			t.Fatal(err)
		}
		line.End(200, 512, 3*time.Millisecond)
		line.End(500, 0, 0) // only the first counts
		if err := h.log.Access(AccessLine{Method: "POST", Path: "/-/signin", Status: 401, IP: netip.MustParseAddr("::ffff:198.51.100.9")}); err != nil {
			t.Fatal(err)
		}
		if err := h.log.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if n := h.sequence(); n != 1 {
			t.Fatalf("%d leaves for one segment", n)
		}
		until := h.clock.now()
		all := h.lines(LineFilter{From: from, Until: until})
		if len(all) != 2 {
			t.Fatalf("read %d lines", len(all))
		}
		got := all[0]
		hers.At, hers.Status, hers.Bytes, hers.Duration = got.At, 200, 512, 3*time.Millisecond
		if got.AccessLine != hers || got.Gone {
			t.Errorf("read   %+v\nqueued %+v", got.AccessLine, hers)
		}
		if s := all[1]; s.IP.String() != "198.51.100.9" || s.Status != 401 || s.Tenant != id.Platform {
			t.Errorf("the stranger's line is %+v", s)
		}
		if n := len(h.lines(LineFilter{From: from, Until: until, Account: ada})); n != 1 {
			t.Errorf("%d lines of hers", n)
		}
		p := checkProof(t, h, id.Platform, got.Event)
		if len(p.Sections) != 5 {
			t.Errorf("the segment has %d sections, want the core, two tenants, one person and strangers", len(p.Sections))
		}

		if err := h.keys.Shred(ctx, keys.SubjectRef(ada)); err != nil {
			t.Fatal(err)
		}
		all = h.lines(LineFilter{From: from, Until: until})
		if !all[0].Gone || all[0].IP.IsValid() || all[0].Path != "/notes/1" || all[1].Gone {
			t.Errorf("after shredding: %+v", all)
		}
		for _, f := range h.check() {
			t.Errorf("found %v", &f)
		}
	}, Migrations)
}

func TestALongRequestIsRecordedTwice(t *testing.T) {
	h := sqlite(t)
	from := h.clock.now()
	line, err := h.log.Begin(AccessLine{Method: "GET", Path: "/stream"})
	if err != nil {
		t.Fatal(err)
	}
	flush := func() {
		t.Helper()
		if err := h.log.flush(context.Background(), false); err != nil {
			t.Fatal(err)
		}
	}
	flush()
	if n := len(h.lines(LineFilter{From: from, Until: h.clock.now()})); n != 0 {
		t.Fatalf("%d lines before its time", n)
	}
	h.clock.add(lineHold)
	flush()
	h.clock.add(10 * time.Second)
	line.End(200, 1<<20, 10*time.Second)
	flush()
	got := h.lines(LineFilter{From: from, Until: h.clock.now()})
	if len(got) != 2 || got[0].Status != 0 || got[1].Status != 200 || got[1].Bytes != 1<<20 {
		t.Errorf("recorded %+v", got)
	}
}

func TestAQueueThatDoesNotDrainRefuses(t *testing.T) {
	o := storetest.SQLiteOptions(t)
	broken := false
	o.Fault = func(op string) store.Outcome {
		if broken && op == "write" {
			return store.Lost
		}
		return store.Works
	}
	h := open(t, storetest.Open(t, o, Migrations))
	from := h.clock.now()
	broken = true
	if err := h.log.Access(AccessLine{Path: "/1"}); err != nil {
		t.Fatal(err)
	}
	if err := h.log.flush(context.Background(), false); err == nil {
		t.Fatal("the flush succeeded on a broken store")
	}
	if err := h.log.Access(AccessLine{Path: "/2"}); err != nil {
		t.Fatalf("refused within two seconds: %v", err)
	}
	h.clock.add(queuePatient)
	if err := h.log.Access(AccessLine{Path: "/3"}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a queue that is older than two seconds took a line: %v", err)
	}
	if _, err := h.log.Begin(AccessLine{Path: "/4"}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a queue that is older than two seconds let a request begin: %v", err)
	}
	broken = false
	if err := h.log.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := h.log.Access(AccessLine{Path: "/5"}); err != nil {
		t.Errorf("refused after it drained: %v", err)
	}
	got := h.lines(LineFilter{From: from, Until: h.clock.now()})
	if len(got) != 2 || got[0].Path != "/1" || got[1].Path != "/2" {
		t.Errorf("recorded %+v", got)
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	h := sqlite(t)
	h.log.queue.now = func() time.Time { return newClock().t }
	for i := range queueLines + 1 {
		if err := h.log.Access(AccessLine{}); (err != nil) != (i == queueLines) {
			t.Fatalf("line %d: %v", i, err)
		}
	}
}

func TestMorePersonsThanSectionsBecomeMoreSegments(t *testing.T) {
	lines := make([]AccessLine, 3*maxOwners)
	for i := range lines {
		lines[i].Account = id.Account(fmt.Sprintf("acc_%d", i))
	}
	total := 0
	for rest := lines; len(rest) > 0; {
		s := segment(rest)
		if s.lines == 0 || len(s.people)+len(s.tenants) > maxOwners+1 {
			t.Fatalf("a segment of %d lines and %d persons", s.lines, len(s.people))
		}
		total += s.lines
		rest = rest[s.lines:]
	}
	if total != len(lines) {
		t.Errorf("%d lines of %d", total, len(lines))
	}
}

// FuzzAppendLine holds that the hand-written JSON of a line says what the
// standard library would say.
func FuzzAppendLine(f *testing.F) {
	f.Add("GET", "app.example", "/a\"b\\c\x00\u2028é", "/", int64(12), 200)
	f.Add("\xff", strings.Repeat("é", 300), "\x7f", "", int64(-1), 0)
	f.Fuzz(func(t *testing.T, method, host, path, route string, size int64, status int) {
		at := time.Date(2026, 11, 21, 12, 0, 0, 5000, time.UTC)
		got := appendLine(nil, 7, &AccessLine{At: at, Method: method, Host: host, Path: path, Route: route, Bytes: size, Status: status})
		want := segmentLine{N: 7, At: at, Method: cut(method, maxMethod), Host: cut(host, maxHost), Path: cut(path, maxPath), Route: cut(route, maxPath), Bytes: size, Status: status}
		var have segmentLine
		d := json.NewDecoder(bytes.NewReader(got))
		d.DisallowUnknownFields()
		if err := d.Decode(&have); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if have != want {
			t.Errorf("read %+v, want %+v", have, want)
		}
	})
}
