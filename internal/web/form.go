package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"troth/internal/fault"
)

// maxFields bounds the number of fields of a form or parameters of a query.
const maxFields = 200

// refusal is a fault with a status of HTTP that no kind of fault stands for.
type refusal struct {
	status int
	fault  *fault.Error
}

// WithStatus is a fault with a status of HTTP that no kind of fault stands for:
// 502, 421. It is rendered like any other.
func WithStatus(status int, f *fault.Error) error { return refusal{status, f} }

// Error is the sentence of the fault.
func (r refusal) Error() string { return r.fault.Error() }

// Unwrap lets fault.As find the fault.
func (r refusal) Unwrap() error { return r.fault }

var (
	errTooLarge = fault.New(fault.TooLarge, "web.too_large", "The request is larger than this page takes. Send less at once.")
	errMedia    = refusal{http.StatusUnsupportedMediaType, fault.New(fault.Invalid, "web.media_type",
		"The body of the request has a type that is not taken here. Send a form as application/x-www-form-urlencoded.")}
	errForm = refusal{http.StatusBadRequest, fault.New(fault.Invalid, "web.form",
		"The form cannot be read. Go back, reload the page and send it again.")}
	errText = refusal{http.StatusBadRequest, fault.New(fault.Invalid, "web.text",
		"The form holds characters that are not UTF-8 text. Type them again.")}
	errQuery = refusal{http.StatusBadRequest, fault.New(fault.Invalid, "web.query",
		"The part of the address after the question mark cannot be read. Follow the link again.")}
	errJSON = refusal{http.StatusBadRequest, fault.New(fault.Invalid, "web.json",
		"The body is not one JSON object with each name once.")}
)

// read bounds the body, reads it once and leaves the fields in Form (and, for
// an unsafe method, in PostForm). A field of the query never becomes a field of
// the form. JSON is left in the body, bounded, for [Request.Decode].
func (r *Request) read() error {
	if r.route.unread {
		return nil
	}
	if safe(r.Method) {
		form, err := fields(r.URL.RawQuery, r.route.Many, errQuery)
		r.Form = form
		return err
	}
	limit := r.route.MaxBody
	if limit == 0 {
		limit = DefaultMaxBody
	}
	r.Form, r.PostForm = url.Values{}, url.Values{}
	if r.ContentLength > limit {
		return errTooLarge
	}
	if r.Header.Get("Content-Encoding") != "" {
		return errMedia
	}
	r.Body = http.MaxBytesReader(r.W, r.Body, limit)
	kind, err := r.mediaType()
	switch {
	case err != nil:
		return err
	case kind == "application/json" && r.route.JSON:
		return nil
	}
	body, err := r.body()
	if err != nil {
		return err
	}
	switch {
	case len(body) == 0:
		return nil
	case kind != "application/x-www-form-urlencoded":
		return errMedia
	}
	if r.Form, err = fields(string(body), r.route.Many, errForm); err == nil {
		r.PostForm = r.Form
	}
	return err
}

// mediaType is the type of the body without parameters; the only parameter
// that is understood is charset=utf-8.
func (r *Request) mediaType() (string, error) {
	h := r.Header.Get("Content-Type")
	if h == "" {
		return "", nil
	}
	kind, params, err := mime.ParseMediaType(h)
	if err != nil {
		return "", errMedia
	}
	if c, ok := params["charset"]; ok && !strings.EqualFold(c, "utf-8") {
		return "", errMedia
	}
	return kind, nil
}

func (r *Request) body() ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, errTooLarge
		}
		return nil, fault.Wrap(err, fault.Invalid, "web.broken_off", "The request broke off before it was complete. Send it again.")
	}
	return body, nil
}

// fields reads application/x-www-form-urlencoded text (WHATWG URL, 5.1). Each
// name may stand once, unless it is in many: two readers of a form must not
// see two different values.
func fields(s string, many []string, broken error) (url.Values, error) {
	if strings.Count(s, "&") >= maxFields {
		return url.Values{}, broken
	}
	v, err := url.ParseQuery(s)
	if err != nil {
		return url.Values{}, broken
	}
	for name, values := range v {
		if !plain(name) {
			return url.Values{}, errText
		}
		if len(values) > 1 && !slices.Contains(many, name) {
			return url.Values{}, refusal{http.StatusBadRequest, fault.New(fault.Invalid, "web.twice",
				"The field %q was sent more than once. Send it once.", clip(name, 40))}
		}
		if slices.ContainsFunc(values, func(x string) bool { return !plain(x) }) {
			return url.Values{}, errText
		}
	}
	return v, nil
}

// plain reports whether a text is UTF-8 and has no control characters except
// those that a person types into a text area.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool {
		return c < 0x20 && c != '\n' && c != '\r' && c != '\t' || c == 0x7f
	})
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// Decode reads the JSON body of a route with JSON set into v: one object,
// nothing after it, no unknown name, no name twice (RFC 8259, 4, leaves open
// which of two wins). It must be called at most once. Every error is a fault.
func (r *Request) Decode(v any) error {
	if kind, err := r.mediaType(); err != nil || kind != "application/json" {
		return errMedia
	}
	body, err := r.body()
	if err != nil {
		return err
	}
	if !utf8.Valid(body) || once(json.NewDecoder(bytes.NewReader(body))) != nil {
		return errJSON
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fault.Wrap(err, fault.Invalid, "web.json_shape", "The JSON body has a name or a type that is not taken here.")
	}
	return nil
}

// maxDepth bounds the nesting of a JSON body.
const maxDepth = 32

// once walks one JSON object and refuses a name that stands twice in an object
// and anything after the object.
func once(d *json.Decoder) error {
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errJSON
	}
	if err := object(d, 1); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errJSON
	}
	return nil
}

func object(d *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok || seen[name] {
			return errJSON
		}
		seen[name] = true
		if err := value(d, depth); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

func value(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil || depth > maxDepth {
		return errJSON
	}
	switch t {
	case json.Delim('{'):
		return object(d, depth+1)
	case json.Delim('['):
		for d.More() {
			if err := value(d, depth+1); err != nil {
				return err
			}
		}
		_, err = d.Token()
	}
	return err
}
