package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Explain writes a commented troth.toml. Every key stands there with its
// sentence, its environment variable when it has one, and its present value; a
// key is commented out unless set names it as "section.key" or "key".
func Explain(w io.Writer, set map[string]bool, sections ...Section) error {
	if err := distinct(sections); err != nil {
		return err
	}
	for i, s := range sections {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := explainSection(w, set, s); err != nil {
			return err
		}
	}
	return nil
}

func explainSection(w io.Writer, set map[string]bool, s Section) error {
	comment(w, s.Doc)
	v := reflect.ValueOf(s.Value).Elem()
	if v.Kind() == reflect.Slice {
		return explainArray(w, set, s, v)
	}
	if s.Name != "" {
		fmt.Fprintf(w, "[%s]\n", s.Name)
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if i > 0 || s.Doc != "" {
			fmt.Fprintln(w)
		}
		comment(w, f.Tag.Get("doc"))
		name := keyOf(f)
		if s.Name != "" {
			name = s.Name + "." + name
		}
		line, err := assignment(keyOf(f), v.Field(i))
		if err != nil {
			return err
		}
		if !set[name] {
			line = "# " + line
		}
		fmt.Fprintln(w, line)
	}
	return nil
}

// Key is one key as [Describe] lists it.
type Key struct {
	Name     string `json:"key"` // "session.idle"; "route[].path" in [[route]]
	Doc      string `json:"doc"`
	Variable string `json:"variable,omitempty"` // of the environment; none for [[arrays]]
	Value    any    `json:"value"`              // at present
}

// Describe lists all keys with their sentences and present values.
func Describe(sections ...Section) []Key {
	var keys []Key
	for _, s := range sections {
		v := reflect.ValueOf(s.Value).Elem()
		if v.Kind() == reflect.Slice {
			for i := range v.Type().Elem().NumField() {
				f := v.Type().Elem().Field(i)
				var values []any
				for row := range v.Len() {
					values = append(values, v.Index(row).Field(i).Interface())
				}
				keys = append(keys, Key{Name: s.Name + "[]." + keyOf(f), Doc: f.Tag.Get("doc"), Value: values})
			}
			continue
		}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name := keyOf(f)
			if s.Name != "" {
				name = s.Name + "." + name
			}
			keys = append(keys, Key{name, f.Tag.Get("doc"), envName(s.Name, keyOf(f)), v.Field(i).Interface()})
		}
	}
	return keys
}

// explainArray writes the present tables, or one commented example.
func explainArray(w io.Writer, set map[string]bool, s Section, v reflect.Value) error {
	mark, rows := "", v
	if v.Len() == 0 || !set[s.Name] {
		mark = "# "
	}
	if v.Len() == 0 {
		rows = reflect.MakeSlice(v.Type(), 1, 1)
	}
	for i := range rows.Len() {
		fmt.Fprintf(w, "%s[[%s]]\n", mark, s.Name)
		row := rows.Index(i)
		for j := range row.NumField() {
			f := row.Type().Field(j)
			line, err := assignment(keyOf(f), row.Field(j))
			if err != nil {
				return err
			}
			if i == 0 {
				line += "   # " + f.Tag.Get("doc")
			}
			fmt.Fprintln(w, mark+line)
		}
	}
	return nil
}

func assignment(key string, v reflect.Value) (string, error) {
	b, err := toml.Marshal(map[string]any{key: v.Interface()})
	if err != nil {
		return "", fmt.Errorf("writing the key %s: %w", key, err)
	}
	return strings.TrimSpace(string(b)), nil
}

// comment writes a text as comment lines of at most 98 characters.
func comment(w io.Writer, text string) {
	line := "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > 98 {
			fmt.Fprintln(w, line)
			line = "#"
		}
		line += " " + word
	}
	if line != "#" {
		fmt.Fprintln(w, line)
	}
}
