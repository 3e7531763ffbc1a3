package trust

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"troth/internal/fault"
	"troth/internal/secret"
)

// Visitor behaves like a browser before the front door: it keeps cookies and
// says where its forms come from. It follows redirects only when told to.
type Visitor struct {
	From   netip.Addr
	Client *http.Client
	bench  Bench
}

// Visitor arrives from an address; the zero address is one at random of
// 192.0.2.0/24.
func (b Bench) Visitor(from netip.Addr) (*Visitor, error) {
	if b.Client == nil || b.Origin == "" {
		return nil, errors.New("the bench has no client: the front door does not stand")
	}
	if !from.IsValid() {
		var n [1]byte
		rand.Read(n[:])
		from = netip.AddrFrom4([4]byte{192, 0, 2, 1 + n[0]%254})
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	c := *b.Client(from)
	c.Jar = jar
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Visitor{From: from, Client: &c, bench: b}, nil
}

// maxPage is how much of a page is read.
const maxPage = 4 << 20

// Page is an answer, read whole.
type Page struct {
	Path   string // that was asked for, with its query
	Status int
	Header http.Header
	Body   string
}

// Get asks for a path of the installation, or for an address that begins with
// its origin. An error is a fault and says that there was no answer; a status
// is none.
func (v *Visitor) Get(ctx context.Context, path string) (*Page, error) {
	req, err := v.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
	req.Header.Set("Sec-Fetch-Site", "none")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	return v.Do(req)
}

// GetJSON is Get for what is no page.
func (v *Visitor) GetJSON(ctx context.Context, path string) (*Page, error) {
	req, err := v.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	return v.Do(req)
}

// Post sends a form from a page of the installation. Fields are pairs of name
// and value.
func (v *Visitor) Post(ctx context.Context, path string, fields ...string) (*Page, error) {
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return v.PostForm(ctx, path, form)
}

// PostForm is Post with a form that was put together elsewhere.
func (v *Visitor) PostForm(ctx context.Context, path string, form url.Values) (*Page, error) {
	req, err := v.request(ctx, http.MethodPost, path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", v.bench.Origin)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	return v.Do(req)
}

// Follow asks for where a page leads (status 3xx), up to five times; a page
// that leads nowhere comes back as it is.
func (v *Visitor) Follow(ctx context.Context, p *Page) (*Page, error) {
	for range 5 {
		to := p.Header.Get("Location")
		if p.Status/100 != 3 || to == "" {
			return p, nil
		}
		next, err := v.Get(ctx, to)
		if err != nil {
			return nil, err
		}
		p = next
	}
	return p, nil
}

func (v *Visitor) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	address := v.bench.Origin + path
	if strings.HasPrefix(path, v.bench.Origin+"/") {
		address = path
	} else if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("%q is no path of this installation", clip(path))
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err == nil {
		req.Header.Set("User-Agent", "Troth-Canary/1")
	}
	return req, err
}

// Do sends a request that the check made itself.
func (v *Visitor) Do(req *http.Request) (*Page, error) {
	resp, err := v.Client.Do(req)
	if err != nil {
		// The address may hold a token, and a url.Error prints it.
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return nil, fault.Wrap(err, fault.Unavailable, "trust.no_answer", "The front door did not answer.")
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "trust.no_answer", "The front door broke off its answer.")
	}
	return &Page{Path: req.URL.RequestURI(), Status: resp.StatusCode, Header: resp.Header, Body: string(b)}, nil
}

// Cookie is the value of a cookie that the visitor holds, or "".
func (v *Visitor) Cookie(name string) string {
	u, err := url.Parse(v.bench.Origin + "/")
	if err != nil {
		return ""
	}
	for _, c := range v.Client.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// SignIn signs in and says how the front door answered: 303 is success.
func (v *Visitor) SignIn(ctx context.Context, address string, password secret.String) (*Page, error) {
	return v.Post(ctx, "/-/signin", "email", address, "password", password.Reveal())
}

var (
	hrefs     = regexp.MustCompile(`\shref="([^"]*)"`)
	addresses = regexp.MustCompile(`https://[^\s<>"]+`)
)

// Links are the targets of a page's anchors, in order, each once.
func (p *Page) Links() []string {
	var links []string
	seen := map[string]bool{}
	for _, m := range hrefs.FindAllStringSubmatch(p.Body, -1) {
		if to := html.UnescapeString(m[1]); !seen[to] {
			seen[to] = true
			links = append(links, to)
		}
	}
	return links
}

// Link is the first anchor's target that begins with a prefix, or "".
func (p *Page) Link(prefix string) string {
	for _, to := range p.Links() {
		if strings.HasPrefix(to, prefix) {
			return to
		}
	}
	return ""
}

// Link is the first address in a message that begins with a prefix, or "".
func (m Mail) Link(prefix string) string {
	for _, to := range addresses.FindAllString(m.Body, -1) {
		if strings.HasPrefix(to, prefix) {
			return strings.TrimRight(to, ".,;:)")
		}
	}
	return ""
}
