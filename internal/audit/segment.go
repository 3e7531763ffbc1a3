package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
)

// A segment is one event that holds many access lines. Its core section tells
// how many; then there is one section for each tenant, with the lines of its
// requests, and one for each person, and for all strangers together, with the
// addresses and browsers that the lines came from. A line and its origin are
// tied by the line's number in the segment.

// maxOwners bounds the sections of a segment, below verify.MaxSections.
const maxOwners = 1000

// usualLine is about what a line takes, so that a section is not copied while it
// grows.
const usualLine = 384

// segmented are lines cut into what each key covers.
type segmented struct {
	lines   int
	tenants map[id.Tenant][]byte // JSON, an array of segmentLine without its end
	people  map[id.Account]map[origin][]int
}

// origin is where requests came from.
type origin struct{ ip, agent string }

// segmentLine is an access line as it is stored.
type segmentLine struct {
	N       int        `json:"n"`
	At      time.Time  `json:"at"`
	Method  string     `json:"method"`
	Host    string     `json:"host,omitempty"`
	Path    string     `json:"path"`
	Route   string     `json:"route,omitempty"`
	Status  int        `json:"status,omitempty"`
	Bytes   int64      `json:"bytes,omitempty"`
	Micros  int64      `json:"duration_us,omitempty"`
	Account id.Account `json:"account,omitempty"`
	Session id.Session `json:"session,omitempty"`
	Request id.Request `json:"request,omitempty"`
}

// segmentOrigin is where the numbered lines came from.
type segmentOrigin struct {
	IP    string `json:"ip,omitempty"`
	Agent string `json:"agent,omitempty"`
	Lines []int  `json:"lines"`
}

// segment cuts as many of the lines as have room.
func segment(lines []AccessLine) segmented {
	s := segmented{tenants: map[id.Tenant][]byte{}, people: map[id.Account]map[origin][]int{}}
	count := map[id.Tenant]int{}
	for i := range lines {
		count[lines[i].Tenant]++
	}
	for i := range lines {
		line := &lines[i]
		if len(s.tenants)+len(s.people) >= maxOwners {
			break
		}
		tenant := cmp.Or(line.Tenant, id.Platform)
		b := s.tenants[tenant]
		if b == nil {
			b = append(make([]byte, 0, count[line.Tenant]*usualLine+2), '[')
		} else {
			b = append(b, ',')
		}
		s.tenants[tenant] = appendLine(b, i, line)
		from := origin{agent: line.Agent}
		if line.IP.IsValid() {
			from.ip = line.IP.Unmap().String()
		}
		if s.people[line.Account] == nil {
			s.people[line.Account] = map[origin][]int{}
		}
		s.people[line.Account][from] = append(s.people[line.Account][from], i)
		s.lines++
	}
	return s
}

// appendLine writes what json.Marshal writes of a segmentLine, at a fifth of
// the cost: it is done for every request.
func appendLine(b []byte, n int, l *AccessLine) []byte {
	b = append(b, `{"n":`...)
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, `,"at":"`...)
	b = l.At.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, '"')
	b = appendText(b, "method", l.Method, maxMethod)
	b = appendText(b, "host", l.Host, maxHost)
	b = appendText(b, "path", l.Path, maxPath)
	b = appendText(b, "route", l.Route, maxPath)
	b = appendNumber(b, "status", int64(l.Status))
	b = appendNumber(b, "bytes", l.Bytes)
	b = appendNumber(b, "duration_us", l.Duration.Microseconds())
	b = appendText(b, "account", string(l.Account), maxHost)
	b = appendText(b, "session", string(l.Session), maxHost)
	b = appendText(b, "request", string(l.Request), maxHost)
	return append(b, '}')
}

// What is longer in a line is cut: it comes from outside.
const (
	maxMethod = 32
	maxHost   = 255
	maxPath   = 2048
)

func appendNumber(b []byte, name string, v int64) []byte {
	if v == 0 {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	return strconv.AppendInt(b, v, 10)
}

func appendText(b []byte, name, v string, limit int) []byte {
	if v == "" {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	return appendString(b, cut(v, limit))
}

// appendString quotes a valid UTF-8 string (RFC 8259, 7).
func appendString(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' || c >= utf8.RuneSelf {
			continue
		}
		b = append(b, s[start:i]...)
		if c == '"' || c == '\\' {
			b = append(b, '\\', c)
		} else {
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		start = i + 1
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// segmentSections seals the segment: core, tenants, persons, strangers. Lines
// of a tenant or person whose key was destroyed are not kept, but counted.
func (l *Log) segmentSections(ctx context.Context, e *Event, seg segmented) ([]section, error) {
	e.Metadata = map[string]string{"count": strconv.Itoa(seg.lines)}
	sections, err := l.sections(ctx, e, ClassAccess)
	if err != nil {
		return nil, err
	}
	p := payload{tenant: e.Tenant, event: e.ID, month: keys.MonthRef(ClassAccess, monthOf(e.ID))}
	for _, tenant := range slices.Sorted(maps.Keys(seg.tenants)) {
		s, err := l.seal(ctx, p, string(tenant), append(seg.tenants[tenant], ']'))
		if fault.KindOf(err) == fault.Gone {
			continue
		}
		if err != nil {
			return nil, err
		}
		sections = append(sections, s)
	}
	for _, account := range slices.Sorted(maps.Keys(seg.people)) {
		exact, err := json.Marshal(origins(seg.people[account]))
		if err != nil {
			return nil, fmt.Errorf("encoding origins: %w", err)
		}
		s, err := l.seal(ctx, p, sectionOf(account), exact)
		if err != nil {
			return nil, err
		}
		sections = append(sections, s)
	}
	return sections, nil
}

func origins(from map[origin][]int) []segmentOrigin {
	all := make([]segmentOrigin, 0, len(from))
	for o, lines := range from {
		all = append(all, segmentOrigin{o.ip, cut(o.agent, maxAgent), lines})
	}
	slices.SortFunc(all, func(a, b segmentOrigin) int { return a.Lines[0] - b.Lines[0] })
	return all
}

// LineFilter selects access lines. Only lines of the given tenant, account and
// request are returned, as far as they are given.
type LineFilter struct {
	From, Until time.Time // at most an hour
	Tenant      id.Tenant
	Account     id.Account
	Request     id.Request
	Limit       int
}

// SegmentLine is an access line and the event that holds it.
type SegmentLine struct {
	AccessLine
	Event id.Event // in the tenant id.Platform
	Gone  bool     // the data about who it was has been destroyed
}

// Bounds of reading lines: the span, and how long after a line its segment is
// still found.
const (
	maxSpan     = time.Hour
	lateSegment = 5 * time.Minute
)

// Lines reads access lines, oldest first. It is for showing what was recorded
// around a time; asking for permission is the caller's part.
func (l *Log) Lines(ctx context.Context, f LineFilter) ([]SegmentLine, error) {
	if f.Until.Sub(f.From) > maxSpan || f.Until.Before(f.From) {
		return nil, errors.New("audit: access lines are read for at most an hour")
	}
	if f.Limit <= 0 || f.Limit > segmentLines {
		f.Limit = segmentLines
	}
	var all []SegmentLine
	// A segment is made after its lines: at once, or when the store is back.
	after, until := firstOf(f.From), firstOf(f.Until.Add(lateSegment))
	for len(all) < f.Limit {
		var found []stored
		err := l.db.Read(ctx, func(tx *store.Tx) error {
			rows, err := segmentRows(tx, after, until, 32)
			if err != nil {
				return err
			}
			found, err = readStored(tx, rows)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("reading access lines: %w", err)
		}
		for _, s := range found {
			lines, err := l.openSegment(ctx, s, f)
			if err != nil {
				return nil, err
			}
			all = append(all, lines...)
			after = id.Event(s.event)
		}
		if len(found) < 32 {
			break
		}
	}
	return all[:min(len(all), f.Limit)], nil
}

// openSegment reads the lines that fit the filter.
func (l *Log) openSegment(ctx context.Context, s stored, f LineFilter) ([]SegmentLine, error) {
	if s.body == nil {
		return nil, nil
	}
	sections, err := decodeSections(s.body)
	if err != nil {
		return nil, fmt.Errorf("reading segment %s: %w", s.event, err)
	}
	p := payload{tenant: id.Tenant(s.tenant), event: id.Event(s.event), month: keys.MonthRef(s.class, monthOf(id.Event(s.event)))}
	lines := map[int]*SegmentLine{}
	for _, sec := range sections {
		if sec.name == coreSection {
			continue
		}
		_, exact, err := l.openSection(ctx, p, sec)
		if errors.Is(err, errShredded) {
			continue
		}
		if err == nil && len(sec.name) > 4 && sec.name[:4] == "ten_" {
			err = readLines(exact, id.Tenant(sec.name), p.event, f, lines)
		} else if err == nil {
			err = readOrigins(exact, lines)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the section %s of segment %s: %w", sec.name, s.event, err)
		}
	}
	all := make([]SegmentLine, 0, len(lines))
	for _, n := range slices.Sorted(maps.Keys(lines)) {
		all = append(all, *lines[n])
	}
	return all, nil
}

// readLines reads a tenant's section. Those come before the persons'.
func readLines(exact []byte, tenant id.Tenant, event id.Event, f LineFilter, into map[int]*SegmentLine) error {
	if f.Tenant != "" && f.Tenant != tenant {
		return nil
	}
	var lines []segmentLine
	if err := json.Unmarshal(exact, &lines); err != nil {
		return err
	}
	for _, s := range lines {
		if f.Account != "" && s.Account != f.Account || f.Request != "" && s.Request != f.Request || s.At.Before(f.From) || s.At.After(f.Until) {
			continue
		}
		into[s.N] = &SegmentLine{Event: event, Gone: true, AccessLine: AccessLine{At: s.At, Method: s.Method, Host: s.Host, Path: s.Path, Route: s.Route,
			Status: s.Status, Bytes: s.Bytes, Duration: time.Duration(s.Micros) * time.Microsecond,
			Account: s.Account, Tenant: tenant, Session: s.Session, Request: s.Request}}
	}
	return nil
}

func readOrigins(exact []byte, into map[int]*SegmentLine) error {
	var all []segmentOrigin
	if err := json.Unmarshal(exact, &all); err != nil {
		return err
	}
	for _, o := range all {
		for _, n := range o.Lines {
			if l := into[n]; l != nil {
				l.IP, l.Agent, l.Gone = parseIP(o.IP), o.Agent, false
			}
		}
	}
	return nil
}
