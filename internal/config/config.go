// Package config reads troth.toml, strictly.
//
// Every part of Troth describes its own section: a pointer to a struct that
// holds the defaults, with a `toml` tag for each key and a `doc` tag with the
// sentence that explains it. From that one description come the reading, the
// commented file that `troth init` writes, `troth config explain`, and the
// names of the environment variables.
//
// Strict means: an unknown section or key, a value of the wrong type or out of
// its range, and an environment variable that names no key are errors that say
// where they stand and what to do. Nothing is guessed, and nothing is started
// on a file with errors.
//
// Secrets never stand in the file, in a flag or in the environment: a key that
// ends in _file names a file that holds the secret alone (see [ReadSecret]).
//
// Precedence, lowest first: the default, the file, TROTH_SECTION_KEY, a flag.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"troth/internal/fault"
	"troth/internal/secret"
)

// maxFile bounds the configuration file and each secret file: 1 MiB.
const maxFile = 1 << 20

// EnvPrefix begins the name of every environment variable that sets a key.
const EnvPrefix = "TROTH_"

// Section is one table of the file, described by the part that reads it. The
// section named "" holds the keys at the top of the file.
type Section struct {
	Name  string
	Doc   string       // a sentence or two, printed above the section
	Value any          // pointer to a struct, or to a slice of structs for [[name]]
	Check func() error // called after reading; says what is wrong with the values together
}

// Duration is a time span written as in Go: "90s", "12h", "30m".
type Duration time.Duration

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is no time span; write it as 90s, 15m or 12h", b)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes a duration without trailing zero units.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String is the duration without trailing zero units: "12h", not "12h0m0s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// D is the duration for package time.
func (d Duration) D() time.Duration { return time.Duration(d) }

// Load reads the file at path into the sections, then the environment, then
// runs the checks. An empty path reads no file. Every error is fault.Invalid
// and names the file, the line and the key.
func Load(path string, environ []string, sections ...Section) error {
	if err := distinct(sections); err != nil {
		return err
	}
	if path != "" {
		b, err := readBounded(path)
		if err != nil {
			return err
		}
		if err := Decode(path, b, sections...); err != nil {
			return err
		}
	}
	if err := fromEnviron(environ, sections); err != nil {
		return err
	}
	return check(sections)
}

func check(sections []Section) error {
	for _, s := range sections {
		if s.Check == nil {
			continue
		}
		if err := s.Check(); err != nil {
			return err
		}
	}
	return nil
}

// Decode reads TOML text into the sections, without environment and checks.
// The name stands in errors. Nothing is changed when the text has an error.
func Decode(name string, b []byte, sections ...Section) error {
	file := reflect.New(fileType(sections))
	fill(file.Elem(), sections)
	dec := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields()
	if err := dec.Decode(file.Interface()); err != nil {
		return explainError(name, err)
	}
	take(file.Elem(), sections)
	return nil
}

// fileType is a struct with one field a section; the keys of the section ""
// are fields of the file itself.
func fileType(sections []Section) reflect.Type {
	var fields []reflect.StructField
	for _, s := range sections {
		t := reflect.TypeOf(s.Value).Elem()
		if s.Name == "" {
			for i := range t.NumField() {
				fields = append(fields, t.Field(i))
			}
			continue
		}
		fields = append(fields, reflect.StructField{
			Name: "S_" + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(s.Name)), Type: t,
			Tag: reflect.StructTag(`toml:"` + s.Name + `"`),
		})
	}
	for i := range fields {
		fields[i].Offset, fields[i].Index = 0, nil
	}
	return reflect.StructOf(fields)
}

// fill copies the defaults into the file, so that a key left out keeps its own.
func fill(file reflect.Value, sections []Section) {
	each(file, sections, func(field, value reflect.Value) { field.Set(deepCopy(value)) })
}

// take copies what was read into the sections.
func take(file reflect.Value, sections []Section) {
	each(file, sections, func(field, value reflect.Value) { value.Set(field) })
}

func each(file reflect.Value, sections []Section, visit func(field, value reflect.Value)) {
	n := 0
	for _, s := range sections {
		v := reflect.ValueOf(s.Value).Elem()
		if s.Name != "" {
			visit(file.Field(n), v)
			n++
			continue
		}
		for i := range v.NumField() {
			visit(file.Field(n), v.Field(i))
			n++
		}
	}
}

// deepCopy keeps a failed Decode from writing into a default slice. A slice
// that the file names replaces the default instead of being appended to.
func deepCopy(v reflect.Value) reflect.Value {
	if v.Kind() != reflect.Slice || v.IsNil() {
		return v
	}
	c := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
	reflect.Copy(c, v)
	return c
}

func explainError(name string, err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		first := unknown.Errors[0]
		row, _ := first.Position()
		key := strings.Join(first.Key(), ".")
		return fault.New(fault.Invalid, "config.unknown_key", "%s, line %d: there is no key %q. Run “troth config explain” for all keys.", name, row, key).On(key)
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		row, _ := bad.Position()
		key := strings.Join(bad.Key(), ".")
		what, _, _ := strings.Cut(strings.TrimPrefix(bad.Error(), "toml: "), " into ") // what follows is a Go type
		return fault.Wrap(err, fault.Invalid, "config.bad_value", "%s, line %d: the value of %q cannot be read: %s. Run “troth config explain” for all keys.", name, row, key, what).On(key)
	}
	return fault.Wrap(err, fault.Invalid, "config.unreadable", "%s cannot be read as TOML: %v.", name, err)
}

// fromEnviron sets the keys that TROTH_SECTION_KEY variables name.
func fromEnviron(environ []string, sections []Section) error {
	known := map[string]reflect.Value{}
	for _, s := range sections {
		v := reflect.ValueOf(s.Value).Elem()
		if v.Kind() != reflect.Struct {
			continue // [[arrays]] have no name in the environment
		}
		for i := range v.NumField() {
			known[envName(s.Name, keyOf(v.Type().Field(i)))] = v.Field(i)
		}
	}
	sorted := append([]string(nil), environ...)
	sort.Strings(sorted)
	for _, line := range sorted {
		name, value, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(name, EnvPrefix) {
			continue
		}
		field, ok := known[name]
		if !ok {
			return fault.New(fault.Invalid, "config.unknown_variable", "The environment variable %s names no key. Run “troth config explain” for all keys, or unset it.", name).On(name)
		}
		if err := setText(field, value); err != nil {
			return fault.Wrap(err, fault.Invalid, "config.bad_variable", "The environment variable %s cannot be read: %v.", name, err).On(name)
		}
	}
	return nil
}

// setText sets a field from text: a string as it is, a list of strings by
// commas, everything else as TOML.
func setText(field reflect.Value, value string) error {
	switch {
	case field.Kind() == reflect.String:
		field.SetString(value)
		return nil
	case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.String:
		var list []string
		for _, item := range strings.Split(value, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
		field.Set(reflect.ValueOf(list))
		return nil
	}
	if u, ok := field.Addr().Interface().(interface{ UnmarshalText([]byte) error }); ok {
		return u.UnmarshalText([]byte(value))
	}
	holder := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "V", Type: field.Type(), Tag: `toml:"v"`}}))
	if err := toml.Unmarshal([]byte("v = "+value+"\n"), holder.Interface()); err != nil {
		return err
	}
	field.Set(holder.Elem().Field(0))
	return nil
}

func envName(section, key string) string {
	name := key
	if section != "" {
		name = section + "_" + key
	}
	return EnvPrefix + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(name))
}

func keyOf(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
	return key
}

// distinct refuses two sections of one name, a key without a tag, and a key
// without a sentence: a configuration that cannot be explained is a defect.
func distinct(sections []Section) error {
	seen := map[string]bool{}
	for _, s := range sections {
		t := reflect.TypeOf(s.Value).Elem()
		if t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		for i := range t.NumField() {
			name := s.Name + "." + keyOf(t.Field(i))
			switch {
			case keyOf(t.Field(i)) == "" || t.Field(i).Tag.Get("doc") == "":
				return fmt.Errorf("configuration field %s of section %q lacks its toml or doc tag", t.Field(i).Name, s.Name)
			case seen[name]:
				return fmt.Errorf("two parts describe the configuration key %q", name)
			}
			seen[name] = true
		}
	}
	return nil
}

func readBounded(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fault.Wrap(err, fault.Invalid, "config.no_file", "There is no file %s. “troth init --data DIR” writes one, or name another with --config.", path)
	case err != nil:
		return nil, fault.Wrap(err, fault.Invalid, "config.no_file", "The file %s cannot be read: %v.", path, errors.Unwrap(err))
	case len(b) > maxFile:
		return nil, fault.New(fault.TooLarge, "config.too_large", "The file %s is larger than 1 MiB; that is no configuration.", path)
	}
	return b, nil
}

// ReadSecret reads a secret from a file that holds it alone; one newline at
// the end is not part of it. A name without a slash is looked for among the
// credentials that systemd hands over (systemd.exec(5), LoadCredential) when
// there are any. A file that others may read is refused. The key names the
// configuration key in errors.
func ReadSecret(key, path string) (secret.String, error) {
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" && !strings.ContainsRune(path, '/') {
		path = filepath.Join(dir, path)
	}
	st, err := os.Stat(path)
	if err != nil {
		return secret.String{}, fault.Wrap(err, fault.Invalid, "config.no_secret", "The secret file %s named by %s cannot be read.", path, key).On(key)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return secret.String{}, fault.New(fault.Invalid, "config.open_secret", "The secret file %s can be read by others. Run “chmod 600 %s”.", path, path).On(key)
	}
	b, err := readBounded(path)
	if err != nil {
		return secret.String{}, err
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if value == "" {
		return secret.String{}, fault.New(fault.Invalid, "config.empty_secret", "The secret file %s named by %s is empty.", path, key).On(key)
	}
	return secret.Of(value), nil
}
