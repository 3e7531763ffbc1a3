package web

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"troth/internal/secret"
	"troth/internal/text"
)

//go:embed pages
var ownPages embed.FS

// Renderer turns templates into pages. Its exported fields are set once, before
// the first request.
type Renderer struct {
	Service  string           // the service's name in the header; "" is "Troth"
	Nav      []NavItem        // the navigation
	Menus    Menus            // the person's name and tenants; nil shows none
	FlashKey secret.Bytes     // under which flash messages are signed, the same on all nodes; random if unset
	Now      func() time.Time // for relative times

	catalogue *text.Catalogue
	pages     []fs.FS
	random    secret.Bytes

	mu   sync.Mutex
	sets map[string]map[string]*template.Template // language → page → template
}

// NewRenderer parses all pages in all languages of the catalogue. Each file
// system holds pages as "part/page.html"; a file whose name begins with an
// underscore ("part/_row.html") defines templates for the pages beside it.
// A page that exists twice, or that html/template cannot escape, is an error.
func NewRenderer(catalogue *text.Catalogue, pages ...fs.FS) (*Renderer, error) {
	own, err := fs.Sub(ownPages, "pages")
	if err != nil {
		return nil, fmt.Errorf("opening the templates of package web: %w", err)
	}
	rd := &Renderer{
		Now: time.Now, catalogue: catalogue, pages: append([]fs.FS{own}, pages...), random: newFlashKey(),
		sets: map[string]map[string]*template.Template{},
	}
	_, err = rd.set(catalogue.Printer(""))
	return rd, err
}

// set is all pages in one language. They are parsed when the language is first
// asked for.
func (rd *Renderer) set(p *text.Printer) (map[string]*template.Template, error) {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	if set := rd.sets[p.Language()]; set != nil {
		return set, nil
	}
	base, err := template.New("layout").Funcs(rd.funcs(p)).ParseFS(rd.pages[0], "*.html")
	if err != nil {
		return nil, fmt.Errorf("parsing the layout: %w", err)
	}
	set := map[string]*template.Template{}
	for _, each := range rd.pages {
		if err := parsePages(set, base, each); err != nil {
			return nil, err
		}
	}
	rd.sets[p.Language()] = set
	return set, nil
}

// parsePages adds the pages of one file system to a set.
func parsePages(set map[string]*template.Template, base *template.Template, pages fs.FS) error {
	if pages == nil {
		return nil
	}
	return fs.WalkDir(pages, ".", func(file string, d fs.DirEntry, err error) error {
		dir := path.Dir(file)
		if err != nil || d.IsDir() || path.Ext(file) != ".html" || dir == "." || strings.HasPrefix(path.Base(file), "_") {
			return err
		}
		name := strings.TrimSuffix(file, ".html")
		if set[name] != nil {
			return fmt.Errorf("the page %s exists twice", name)
		}
		t, err := parsePage(base, pages, dir, file)
		if err != nil {
			return fmt.Errorf("parsing the page %s: %w", name, err)
		}
		set[name] = t
		return nil
	})
}

func parsePage(base *template.Template, pages fs.FS, dir, file string) (*template.Template, error) {
	t, err := base.Clone()
	if err != nil {
		return nil, err
	}
	shared, err := fs.Glob(pages, dir+"/_*.html")
	if err != nil {
		return nil, err
	}
	for _, s := range shared {
		if _, err := t.ParseFS(pages, s); err != nil {
			return nil, err
		}
	}
	src, err := fs.ReadFile(pages, file)
	if err != nil {
		return nil, err
	}
	if _, err := t.New("page").Parse(string(src)); err != nil {
		return nil, err
	}
	// Executing without data fails, but only after everything was escaped:
	// what html/template refuses is found at start.
	err = t.ExecuteTemplate(io.Discard, "layout", nil)
	if e, ok := errors.AsType[*template.Error](err); ok {
		return nil, e
	}
	return t, nil
}

// Has reports whether there is a page of that name.
func (rd *Renderer) Has(name string) bool {
	set, err := rd.set(rd.catalogue.Printer(""))
	return err == nil && set[name] != nil
}

func (rd *Renderer) printer(acceptLanguage string) *text.Printer {
	return rd.catalogue.Printer(clip(acceptLanguage, 200))
}

// render writes the whole page.
func (rd *Renderer) render(w io.Writer, v *View) error {
	set, err := rd.set(v.request.Text)
	if err != nil {
		return err
	}
	t := set[v.name]
	if t == nil {
		return fmt.Errorf("there is no page %q", v.name)
	}
	return t.ExecuteTemplate(w, "layout", v)
}

// AssetRoute serves style sheets, scripts and icons.
func AssetRoute() Route {
	return Route{
		Method: http.MethodGet, Path: assetRoot + "{hash}/{name}", Anonymous: true,
		Public: "style sheets, scripts and icons are the same for everyone", Doc: "A style sheet, script or icon.",
		Handle: serveAsset, Example: map[string]string{"hash": assets().hash, "name": "app.css"},
	}
}
