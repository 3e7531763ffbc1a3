package notes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"
)

// Limits of a tenant's notes.
const (
	maxNotes = 500
	maxTitle = 120
	maxText  = 8000
)

// Note is one note of a tenant.
type Note struct {
	ID         string    `json:"id"`
	Title      string    `json:"title"`
	Text       string    `json:"text"`
	Author     string    `json:"author"` // the account
	AuthorName string    `json:"author_name"`
	WrittenAt  time.Time `json:"written_at"`
	ChangedAt  time.Time `json:"changed_at,omitzero"`
	ChangedBy  string    `json:"changed_by,omitempty"`
}

// tenantID is what a tenant's identifier looks like; it becomes a file name.
var tenantID = regexp.MustCompile(`^ten_[0-9a-z]{26}$`)

var (
	errMissing = errors.New("there is no such note")
	errFull    = fmt.Errorf("there are %d notes already; delete some first", maxNotes)
)

// store keeps the notes of each tenant in one file of its own.
type store struct {
	dir string
	mu  sync.Mutex
}

func openStore(dir string) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory for the notes: %w", err)
	}
	return &store{dir: dir}, nil
}

func (s *store) file(tenant string) (string, error) {
	if !tenantID.MatchString(tenant) {
		return "", fmt.Errorf("%.64q is no tenant", tenant)
	}
	return filepath.Join(s.dir, tenant+".json"), nil
}

// list returns the notes of a tenant, the newest first.
func (s *store) list(tenant string) ([]Note, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read(tenant)
}

func (s *store) read(tenant string) ([]Note, error) {
	file, err := s.file(tenant)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the notes: %w", err)
	}
	var list []Note
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("reading the notes in %s: %w", file, err)
	}
	return list, nil
}

// get returns one note of a tenant. A note of another tenant does not exist.
func (s *store) get(tenant, id string) (Note, error) {
	list, err := s.list(tenant)
	if err != nil {
		return Note{}, err
	}
	i := slices.IndexFunc(list, func(n Note) bool { return n.ID == id })
	if i < 0 {
		return Note{}, errMissing
	}
	return list[i], nil
}

// change applies fn to the notes of a tenant and keeps what it returns.
func (s *store) change(tenant string, fn func([]Note) ([]Note, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, err := s.read(tenant)
	if err != nil {
		return err
	}
	if list, err = fn(list); err != nil {
		return err
	}
	file, err := s.file(tenant)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(list, "", "\t")
	if err != nil {
		return err
	}
	if err := replace(file, b); err != nil {
		return fmt.Errorf("keeping the notes: %w", err)
	}
	return nil
}

func (s *store) add(tenant string, n Note) error {
	return s.change(tenant, func(list []Note) ([]Note, error) {
		if len(list) >= maxNotes {
			return nil, errFull
		}
		return slices.Insert(list, 0, n), nil
	})
}

// edit changes one note, or removes it when fn says so.
func (s *store) edit(tenant, id string, fn func(*Note) (keep bool, err error)) error {
	return s.change(tenant, func(list []Note) ([]Note, error) {
		i := slices.IndexFunc(list, func(n Note) bool { return n.ID == id })
		if i < 0 {
			return nil, errMissing
		}
		keep, err := fn(&list[i])
		if err != nil || keep {
			return list, err
		}
		return slices.Delete(list, i, i+1), nil
	})
}

// replace writes a file whole or not at all, and returns after it is durable.
func replace(file string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".notes-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), file); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
