package password

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// Exported is one account of an export of another system.
type Exported struct {
	Line      int // of the file, or which account of it: from 1
	Email     string
	Name      string
	Confirmed bool // the other system says that the address is confirmed
	Hash      Hash
	Err       error  // why it cannot be imported; the rest holds as far as it was read
	Note      string // what was left out
}

// Export reads the accounts of an export, in their order. An account that
// cannot be read is yielded with its reason; a file that cannot be read ends
// with an error.
type Export func(r io.Reader) iter.Seq2[Exported, error]

// Exports are the formats, by the name of the system. Of Firebase the
// parameters of the project are needed as well.
func Exports(f Firebase) map[string]Export {
	return map[string]Export{
		"keycloak": readKeycloak,
		"auth0":    readAuth0,
		"firebase": f.readExport,
		"csv":      readCSV,
		"phc":      readPHC,
	}
}

// maxLine bounds one account of an export.
const maxLine = 1 << 20

// readLines reads a file line by line, without those that are empty.
func readLines(r io.Reader, read func(line string) Exported) iter.Seq2[Exported, error] {
	return func(yield func(Exported, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 0, 64<<10), maxLine)
		for n := 1; lines.Scan(); n++ {
			line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			e := read(line)
			e.Line = n
			if !yield(e, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(Exported{}, fmt.Errorf("reading the export: %w", err))
		}
	}
}

// readPHC reads lines of an address, a space and a hash.
func readPHC(r io.Reader) iter.Seq2[Exported, error] {
	return readLines(r, func(line string) (e Exported) {
		email, hash, ok := strings.Cut(line, " ")
		if !ok {
			email, hash, ok = strings.Cut(line, "\t")
		}
		if !ok {
			e.Err = errors.New("the line is not an address, a space and a hash")
			return e
		}
		e.Email = email
		e.Hash, e.Err = ReadForeign(hash)
		return e
	})
}

// readCSV reads a table with a heading (RFC 4180): email and hash, and if they
// are there name and confirmed.
func readCSV(r io.Reader) iter.Seq2[Exported, error] {
	return func(yield func(Exported, error) bool) {
		table := csv.NewReader(r)
		table.FieldsPerRecord, table.ReuseRecord = -1, true
		head, err := table.Read()
		if err != nil {
			yield(Exported{}, fmt.Errorf("reading the heading of the table: %w", err))
			return
		}
		column := map[string]int{}
		for i, name := range head {
			column[strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))] = i
		}
		for _, name := range []string{"email", "hash"} {
			if _, ok := column[name]; !ok {
				yield(Exported{}, fmt.Errorf("the heading of the table has no column %q; it needs email and hash, and may have name and confirmed", name))
				return
			}
		}
		for {
			row, err := table.Read()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(Exported{}, fmt.Errorf("reading the table: %w", err))
				return
			}
			cell := func(name string) string {
				if i, ok := column[name]; ok && i < len(row) {
					return strings.TrimSpace(row[i])
				}
				return ""
			}
			e := Exported{Email: strings.Clone(cell("email")), Name: strings.Clone(cell("name"))}
			e.Line, _ = table.FieldPos(0)
			switch strings.ToLower(cell("confirmed")) {
			case "true", "yes", "1", "t", "y":
				e.Confirmed = true
			}
			e.Hash, e.Err = ReadForeign(cell("hash"))
			if !yield(e, nil) {
				return
			}
		}
	}
}

// readDocuments reads JSON documents: one after the other, or those of an array,
// or those of the array under a name of one object. Each is bounded.
func readDocuments(r io.Reader, under string, read func(raw json.RawMessage) Exported) iter.Seq2[Exported, error] {
	return func(yield func(Exported, error) bool) {
		buffered := bufio.NewReader(r)
		if mark, err := buffered.Peek(3); err == nil && bytes.Equal(mark, []byte("\ufeff")) {
			_, _ = buffered.Discard(3) // it was just seen
		}
		in := json.NewDecoder(buffered)
		n := 0
		err := documents(in, under, func(raw json.RawMessage) bool {
			n++
			e := Exported{Err: errors.New("the account is larger than is read")}
			if len(raw) <= maxLine {
				e = read(raw)
			}
			e.Line = n
			return yield(e, nil)
		})
		if err != nil {
			yield(Exported{}, fmt.Errorf("reading the export as JSON: %w", err))
		}
	}
}

// documents walks to where the accounts are.
func documents(in *json.Decoder, under string, each func(json.RawMessage) bool) error {
	for {
		token, err := in.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('['):
			if done, err := array(in, each); done || err != nil {
				return err
			}
		case json.Delim('{'):
			if done, err := object(in, under, each); done || err != nil {
				return err
			}
		default:
			return errors.New("there is neither an object nor an array")
		}
	}
}

func array(in *json.Decoder, each func(json.RawMessage) bool) (done bool, err error) {
	for in.More() {
		var raw json.RawMessage
		if err := in.Decode(&raw); err != nil {
			return false, err
		}
		if !each(raw) {
			return true, nil
		}
	}
	_, err = in.Token()
	return false, err
}

// object reads an object that has been opened: one account, or what has the
// accounts under a name.
func object(in *json.Decoder, under string, each func(json.RawMessage) bool) (done bool, err error) {
	members, accounts := map[string]json.RawMessage{}, false
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return false, err
		}
		if name == under && under != "" {
			accounts = true
			if token, err := in.Token(); err != nil || token != json.Delim('[') {
				return false, errors.Join(err, fmt.Errorf("%s is no array", under))
			}
			if done, err := array(in, each); done || err != nil {
				return done, err
			}
			continue
		}
		var raw json.RawMessage
		if err := in.Decode(&raw); err != nil {
			return false, err
		}
		key, _ := name.(string)
		members[key] = raw
	}
	if _, err := in.Token(); err != nil {
		return false, err
	}
	if accounts {
		return false, nil
	}
	raw, err := json.Marshal(members)
	if err != nil {
		return false, err
	}
	return !each(raw), nil
}
