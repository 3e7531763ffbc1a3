package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed static
var static embed.FS

// assetRoot is where assets are served. The next part of the path is the
// digest of all of them, so that an address never changes its content.
const assetRoot = "/-/assets/"

// asset is one file, ready to be sent.
type asset struct {
	kind, etag  string
	plain, gzip []byte
}

type bundle struct {
	hash  string
	files map[string]asset
	icons map[string]template.HTML
}

// assets is read from the program itself, once: an error is a defect of the
// build, which every test finds.
var assets = sync.OnceValue(func() *bundle {
	b, err := load(static)
	if err != nil {
		panic(fmt.Errorf("loading the assets built into the program: %w", err))
	}
	return b
})

// load reads the assets: css/*.css in order as app.css, everything else under
// its own name, icons.svg as a table of symbols.
func load(from fs.FS) (*bundle, error) {
	raw := map[string][]byte{}
	err := fs.WalkDir(from, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(from, p)
		name := path.Base(p)
		if path.Ext(p) == ".css" {
			name = "app.css"
		}
		raw[name] = append(raw[name], data...)
		return err
	})
	if err != nil {
		return nil, err
	}
	b := &bundle{files: map[string]asset{}}
	sum := sha256.New()
	names := make([]string, 0, len(raw))
	for name := range raw {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		a, err := newAsset(name, raw[name])
		if err != nil {
			return nil, fmt.Errorf("preparing %s: %w", name, err)
		}
		b.files[name] = a
		fmt.Fprintf(sum, "%d %s %d\n%s", len(name), name, len(a.plain), a.plain)
	}
	b.hash = hex.EncodeToString(sum.Sum(nil)[:8])
	b.icons, err = symbols(raw["icons.svg"])
	return b, err
}

var assetKinds = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

func newAsset(name string, data []byte) (asset, error) {
	kind, ok := assetKinds[path.Ext(name)]
	if !ok {
		return asset{}, fmt.Errorf("no type is known for its ending")
	}
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		return asset{}, err
	}
	if _, err := w.Write(data); err != nil {
		return asset{}, err
	}
	if err := w.Close(); err != nil {
		return asset{}, err
	}
	sum := sha256.Sum256(data)
	return asset{kind: kind, etag: `"` + hex.EncodeToString(sum[:12]) + `"`, plain: data, gzip: z.Bytes()}, nil
}

// symbols reads the sprite: name → the content of its symbol.
func symbols(sprite []byte) (map[string]template.HTML, error) {
	var doc struct {
		Symbols []struct {
			ID    string `xml:"id,attr"`
			Inner string `xml:",innerxml"`
		} `xml:"symbol"`
	}
	if err := xml.Unmarshal(sprite, &doc); err != nil {
		return nil, fmt.Errorf("reading the sprite: %w", err)
	}
	icons := map[string]template.HTML{}
	for _, s := range doc.Symbols {
		if _, twice := icons[s.ID]; twice || s.ID == "" {
			return nil, fmt.Errorf("the sprite has the symbol %q twice", s.ID)
		}
		icons[s.ID] = template.HTML(strings.TrimSpace(s.Inner)) //nolint:gosec // a file of this package
	}
	return icons, nil
}

// icon draws a symbol beside a word that says the same: it is hidden from
// assistive technology. An unknown name draws nothing; a test holds the names.
func icon(name string) template.HTML {
	inner, ok := assets().icons[name]
	if !ok {
		return ""
	}
	return `<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">` + inner + `</svg>`
}

// mark is Troth's own sign.
func mark() template.HTML {
	return `<svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">` + assets().icons["mark"] + `</svg>`
}

// assetPath is the address of an asset.
func assetPath(name string) (string, error) {
	if _, ok := assets().files[name]; !ok {
		return "", fmt.Errorf("there is no asset %q", name)
	}
	return assetRoot + assets().hash + "/" + name, nil
}

// serveAsset answers with an asset. Under the digest of this program it may be
// kept for ever; under another (a page of another version, while versions are
// changed node by node) it is served, but must be asked for again.
func serveAsset(r *Request) error {
	a, ok := assets().files[r.PathValue("name")]
	if !ok {
		return errNothing
	}
	h := r.W.Header()
	h.Set("Cache-Control", "no-cache")
	if r.PathValue("hash") == assets().hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable") // RFC 8246
	}
	h.Set("Vary", "Accept-Encoding")
	h.Set("Content-Type", a.kind)
	body, etag := a.plain, a.etag
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		body, etag = a.gzip, strings.TrimSuffix(a.etag, `"`)+`-gz"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Etag", etag)
	if matches(r.Header.Get("If-None-Match"), etag) {
		h.Del("Content-Encoding")
		r.W.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	r.W.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = r.W.Write(body) // the client went away
	}
	return nil
}

// acceptsGzip reads Accept-Encoding (RFC 9110, 12.5.3).
func acceptsGzip(header string) bool {
	for _, part := range strings.Split(header, ",") {
		coding, params, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			q := strings.ReplaceAll(params, " ", "")
			return q != "q=0" && !strings.HasPrefix(q, "q=0.000") && q != "q=0.0" && q != "q=0.00"
		}
	}
	return false
}

// matches reads If-None-Match (RFC 9110, 13.1.2).
func matches(header, etag string) bool {
	for _, part := range strings.Split(header, ",") {
		if p := strings.TrimPrefix(strings.TrimSpace(part), "W/"); p == etag || p == "*" {
			return true
		}
	}
	return false
}
