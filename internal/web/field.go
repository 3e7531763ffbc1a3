package web

import (
	"fmt"
	"slices"
	"strconv"

	"troth/internal/text"
)

// Option is one choice of a select or of radio buttons.
type Option struct {
	Value string
	Label text.Text
	Hint  text.Text // with radio buttons only
}

// Field is what the template "field" draws: a label, an input, a hint and the
// fault, tied together for assistive technology.
type Field struct {
	Name, ID, Label, Type, Hint, Value      string
	Autocomplete, Inputmode, Placeholder    string
	Pattern, Min, Max, Minlength, Maxlength string
	Rows                                    int
	Optional, Autofocus, Checked, Readonly  bool
	Options                                 []Option
	Error                                   text.Text
	Width                                   string // "short" for codes and numbers
}

// Field makes a field for {{template "field" ($.Field "email" "E-mail address"
// "type" "email" "autocomplete" "username")}}. After the name and the label
// (an English sentence, translated by the template) come pairs of a setting
// and its value:
//
//	type          text (default), email, password, search, number, tel, url, date, code, textarea, select, radio, checkbox
//	hint          a sentence under the label
//	value         what it holds at first; what was sent wins
//	options       []web.Option, for select and radio
//	autocomplete, inputmode, placeholder, pattern, min, max, minlength, maxlength, rows: as in HTML
//	optional, autofocus, checked, readonly: true or false
//	id            another id than "f-NAME", when two forms of a page share a name
//	width         "short"
//
// A field is required unless it is optional. An unknown setting is an error.
func (v *View) Field(name, label string, settings ...any) (Field, error) {
	f := Field{Name: name, ID: "f-" + name, Label: label, Type: "text", Rows: 4}
	if len(settings)%2 != 0 {
		return f, fmt.Errorf("the field %s has a setting without a value", name)
	}
	for i := 0; i < len(settings); i += 2 {
		key, ok := settings[i].(string)
		if !ok {
			return f, fmt.Errorf("the field %s has a setting that is no name: %v", name, settings[i])
		}
		if err := f.set(key, settings[i+1]); err != nil {
			return f, err
		}
	}
	if !slices.Contains(fieldTypes, f.Type) {
		return f, fmt.Errorf("the field %s has the unknown type %q", name, f.Type)
	}
	if f.Type == "code" {
		f.Type, f.Inputmode, f.Autocomplete, f.Width = "text", "numeric", "one-time-code", "short"
	}
	for _, e := range v.faults {
		if e.Field == name {
			f.Error = e.Message
		}
	}
	f.keep(v)
	return f, nil
}

var fieldTypes = []string{"text", "email", "password", "search", "number", "tel", "url", "date", "code", "textarea", "select", "radio", "checkbox"}

// keep fills in what was sent, except secrets.
func (f *Field) keep(v *View) {
	if f.Type == "password" || f.Autocomplete == "one-time-code" {
		f.Value = ""
		return
	}
	sent, ok := v.values()[f.Name]
	switch {
	case f.Type == "checkbox" && len(v.faults) > 0:
		f.Checked = ok
	case ok && f.Type == "checkbox":
		f.Checked = true
	case ok:
		f.Value = sent[0]
	}
}

func (f *Field) set(key string, value any) error {
	texts := map[string]*string{
		"type": &f.Type, "hint": &f.Hint, "value": &f.Value, "id": &f.ID, "width": &f.Width, "autocomplete": &f.Autocomplete,
		"inputmode": &f.Inputmode, "placeholder": &f.Placeholder, "pattern": &f.Pattern, "min": &f.Min, "max": &f.Max,
		"minlength": &f.Minlength, "maxlength": &f.Maxlength,
	}
	flags := map[string]*bool{"optional": &f.Optional, "autofocus": &f.Autofocus, "checked": &f.Checked, "readonly": &f.Readonly}
	if p, ok := texts[key]; ok {
		*p = fmt.Sprint(value)
		return nil
	}
	if p, ok := flags[key]; ok {
		b, isBool := value.(bool)
		*p = b
		if !isBool {
			return fmt.Errorf("the field %s wants true or false for %s", f.Name, key)
		}
		return nil
	}
	switch key {
	case "options":
		o, ok := value.([]Option)
		f.Options = o
		if !ok {
			return fmt.Errorf("the field %s wants []web.Option as options", f.Name)
		}
	case "rows":
		n, err := strconv.Atoi(fmt.Sprint(value))
		f.Rows = n
		return err
	default:
		return fmt.Errorf("the field %s has the unknown setting %q", f.Name, key)
	}
	return nil
}

// Describedby lists the ids of what explains the field.
func (f Field) Describedby() string {
	s := ""
	if f.Hint != "" {
		s = f.ID + "-hint"
	}
	if !f.Error.IsZero() {
		if s != "" {
			s += " "
		}
		s += f.ID + "-error"
	}
	return s
}

// Meter is what the template "strength" draws below a field for a new password:
// nothing at first, and how strong the password is as it is typed, or the one
// that was sent.
type Meter struct {
	Path   string    // where the strength is asked; see meter.js
	Of     string    // the id of the field
	Link   string    // the token of the link that led to the page, to be sent along
	Renews bool      // the page is a step of signing in
	Score  int       // 0 to 4, of what was sent
	Says   text.Text // likewise; nothing is known while it is empty
}
