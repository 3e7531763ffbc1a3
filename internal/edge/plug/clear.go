package plug

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/trust"
	"troth/internal/web"
)

// clearFrom is the address that the check comes from. It is personal data too.
var clearFrom = netip.MustParseAddr("192.0.2.213")

// sessionCookie is the name of the cookie that holds a session's secret.
const sessionCookie = "__Host-troth"

// marks are values that nobody else sends, by what they are.
type marks struct {
	origin string
	value  map[string]string
}

func newMarks(origin string) marks {
	m := map[string]string{"network address": clearFrom.String()}
	for _, what := range []string{"password", "code", "secret in a link", "secret in a cookie", "secret in a header", "secret in a query", "name"} {
		m[what] = secret.NewToken().Reveal()
	}
	m["e-mail address"] = "mark-" + strings.ToLower(strings.Trim(secret.NewToken().Reveal()[:20], "-_")) + "@" + trust.CanaryDomain
	return marks{origin, m}
}

// whats are the kinds of values, sorted.
func (m marks) whats() []string {
	var list []string
	for what := range m.value {
		list = append(list, what)
	}
	slices.Sort(list)
	return list
}

// disguises are the forms in which a value could stand in a log.
func disguises(v string) []string {
	list := []string{v, strings.ToLower(v), url.QueryEscape(v), url.PathEscape(v), base64.StdEncoding.EncodeToString([]byte(v)),
		base64.RawURLEncoding.EncodeToString([]byte(v)), hex.EncodeToString([]byte(v))}
	slices.Sort(list)
	return slices.Compact(list)
}

// find returns which kinds of values stand in a text.
func (m marks) find(text []byte) []string {
	var found []string
	for what, v := range m.value {
		if slices.ContainsFunc(disguises(v), func(d string) bool { return bytes.Contains(text, []byte(d)) }) {
			found = append(found, what)
		}
	}
	slices.Sort(found)
	return found
}

func (p *plug) checkClearText(ctx context.Context, b trust.Bench) (trust.Result, error) {
	if p.d.Tap == nil || p.d.DB == nil || p.d.Routes == nil || p.d.Flush == nil {
		return trust.Result{}, errors.New("the log cannot be heard here")
	}
	canary, err := b.Canary(ctx, "clear-text")
	if err != nil {
		return trust.Result{}, err
	}
	m := newMarks(b.Origin)
	m.value["password of an account"], m.value["e-mail address of an account"] = canary.Password.Reveal(), canary.Address
	// Who has just signed up has left a trace before this check began to listen; that is why values are made fresh, too.
	since := id.New[id.Event](b.Now().Add(-time.Millisecond))
	stop := p.d.Tap.listen()
	sent, err := p.sendMarks(ctx, b, canary, m)
	if ferr := p.d.Flush(ctx); err == nil {
		err = ferr
	}
	heard := stop()
	if err != nil {
		return trust.Result{}, err
	}
	if !strings.Contains(heard, "request") {
		return trust.Result{}, errors.New("nothing was heard in the program's log, although requests were made")
	}
	rows, inTables, err := p.searchTables(ctx, m, since)
	if err != nil {
		return trust.Result{}, fmt.Errorf("searching the tables of the log: %w", err)
	}
	if rows == 0 {
		return trust.Result{}, errors.New("the audit log has no new rows, although requests were made")
	}
	var look trust.Look
	look.That(sent >= 20, "requests with secret values", "at least 20", fmt.Sprint(sent))
	inLog := m.find([]byte(heard))
	what := strings.Join(m.whats(), ", ")
	look.That(len(inLog) == 0, fmt.Sprintf("values in %d lines of the program's log (%s)", strings.Count(heard, "\n"), what), "none", none(inLog))
	look.That(len(inTables) == 0, "the same values in the new rows of the audit log's tables", "none", none(inTables))
	return look.Result()
}

func none(found []string) string {
	if len(found) == 0 {
		return "none"
	}
	return "found: " + strings.Join(found, ", ")
}

// sendMarks sends the values through every form and by every other way in, and
// counts the requests.
func (p *plug) sendMarks(ctx context.Context, b trust.Bench, canary *trust.Canary, m marks) (int, error) {
	stranger, err := b.Visitor(clearFrom)
	if err != nil {
		return 0, err
	}
	member, err := canary.SignIn(ctx, clearFrom)
	if err != nil {
		return 0, err
	}
	if token := member.Cookie(sessionCookie); token != "" {
		m.value["session secret"] = token
	}
	sent := 1
	for _, route := range p.d.Routes() {
		if !strings.HasPrefix(route.Path, "/-/") || strings.HasPrefix(route.Path, "/-/signout") {
			continue
		}
		path := m.path(route)
		for _, v := range []*trust.Visitor{stranger, member} {
			if err := m.send(ctx, v, route.Method, path); err != nil {
				return sent, err
			}
			sent++
		}
	}
	if page, err := stranger.Post(ctx, "/-/signin", "email", canary.Address, "password", m.value["password"]); err != nil || page.Status == http.StatusSeeOther {
		return sent, fmt.Errorf("signing in with a wrong password: %w", err)
	}
	for _, v := range []*trust.Visitor{stranger, member} {
		if err := m.send(ctx, v, http.MethodGet, "/some/page/of/the/application"); err != nil {
			return sent, err
		}
		sent++
	}
	return sent + 1, nil
}

// path fills the wildcards of a route: what a route keeps out of logs is a
// secret; an identifier is none.
func (m marks) path(route web.Route) string {
	values := map[string]string{}
	if route.Redact {
		for _, name := range route.Wildcards() {
			values[name] = m.value["secret in a link"]
		}
	}
	return route.URL(values)
}

// send sends one request that carries values wherever it can. The e-mail
// address and the name are too long to be taken, so that nothing is made of
// them; what refuses them has read them.
func (m marks) send(ctx context.Context, v *trust.Visitor, method, path string) error {
	long := strings.Repeat(" and "+m.value["name"], 12)
	form := url.Values{
		"email": {m.value["e-mail address"] + strings.Repeat("x", 300)}, "password": {m.value["password"]}, "new_password": {m.value["password"]}, "current": {m.value["password"]},
		"name": {m.value["name"] + long}, "code": {m.value["code"]}, "token": {m.value["secret in a link"]},
	}
	var page *trust.Page
	var err error
	target := path + "?token=" + url.QueryEscape(m.value["secret in a query"]) + "&email=" + url.QueryEscape(m.value["e-mail address"])
	switch method {
	case http.MethodPost:
		page, err = v.PostForm(ctx, path, form)
	default:
		var req *http.Request
		if req, err = http.NewRequestWithContext(ctx, method, m.origin+target, nil); err != nil {
			return err
		}
		req.Header.Set("Accept", "text/html")
		req.Header.Set("Authorization", "Bearer "+m.value["secret in a header"])
		req.AddCookie(&http.Cookie{Name: "__Host-troth-other", Value: m.value["secret in a cookie"]})
		page, err = v.Do(req)
	}
	if err != nil {
		return err
	}
	if page.Status == http.StatusServiceUnavailable {
		return fmt.Errorf("%s %s was refused with 503", method, path)
	}
	return nil
}

// maxRows bounds what is searched in one table.
const maxRows = 100_000

// searchTables looks through every column of the new rows of the log's tables.
func (p *plug) searchTables(ctx context.Context, m marks, since id.Event) (rows int, found []string, err error) {
	tables, err := p.d.DB.Tables(ctx)
	if err != nil {
		return 0, nil, err
	}
	err = p.d.DB.Read(ctx, func(tx *store.Tx) error {
		rows, found = 0, nil
		for _, table := range tables {
			var query string
			switch {
			case table == "audit_event" || strings.HasPrefix(table, "audit_payload_"):
				query = "SELECT * FROM " + table + " WHERE event >= $1 ORDER BY event LIMIT $2"
			case table == "audit_pending":
				query = "SELECT * FROM " + table + " WHERE name >= $1 ORDER BY name LIMIT $2"
			default:
				continue
			}
			n, in, err := m.search(tx, query, string(since))
			if err != nil {
				return fmt.Errorf("searching %s: %w", table, err)
			}
			rows += n
			found = append(found, in...)
		}
		return nil
	})
	slices.Sort(found)
	return rows, slices.Compact(found), err
}

func (m marks) search(tx *store.Tx, query, since string) (n int, found []string, err error) {
	rows, err := tx.Query(query, since, maxRows)
	if err != nil {
		return 0, nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return 0, nil, err
	}
	for rows.Next() {
		cells := make([]any, len(columns))
		for i := range cells {
			cells[i] = new(any)
		}
		if err := rows.Scan(cells...); err != nil {
			return n, nil, err
		}
		n++
		for _, c := range cells {
			switch v := (*c.(*any)).(type) {
			case []byte:
				found = append(found, m.find(v)...)
			case string:
				found = append(found, m.find([]byte(v))...)
			}
		}
	}
	return n, found, rows.Err()
}
