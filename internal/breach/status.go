package breach

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"troth/internal/access"
	"troth/internal/store"
)

// Status is what is known about the lists.
type Status struct {
	Lists     []ListStatus `json:"lists"`
	Common    int          `json:"common"` // passwords that ship inside
	Own       int          `json:"own"`    // passwords that the operator added
	Range     bool         `json:"range"`  // a range service may be asked
	RangeUsed RangeCount   `json:"range_used,omitzero"`
	Dir       string       `json:"dir"`
}

// ListStatus is one imported list.
type ListStatus struct {
	Kind       Kind      `json:"kind"`
	Entries    int64     `json:"entries"`
	ImportedAt time.Time `json:"imported_at,omitzero"`
	NewestAt   time.Time `json:"newest_at,omitzero"` // of the files that it was made from
	Bytes      int64     `json:"bytes"`
	Shards     int       `json:"shards"`
	Version    int       `json:"format"`
	Problem    string    `json:"problem,omitempty"` // why it is not believed
}

// Status describes the lists, for the operator on the host. With verify, every
// shard is compared with its checksum, which reads the files whole.
func (l *Lists) Status(ctx context.Context, by access.Subject, verify bool) (Status, error) {
	if err := onHost(by); err != nil {
		return Status{}, err
	}
	s := Status{Lists: []ListStatus{}, Common: countCommon(), Range: l.ranges != nil, Dir: l.dir}
	if l.ranges != nil {
		s.RangeUsed = l.ranges.counts()
	}
	for _, kind := range kinds {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		if one, ok := l.describe(kind, verify); ok {
			s.Lists = append(s.Lists, one)
		}
	}
	now := store.Micros(l.now())
	err := l.DB.Read(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM breach_own WHERE expires_at = 0 OR expires_at > $1`, now).Scan(&s.Own)
	})
	if err != nil {
		return s, fmt.Errorf("counting the own list of breached passwords: %w", err)
	}
	return s, nil
}

// Imported describes the imported lists, as far as the ends of their files tell.
func (l *Lists) Imported() []ListStatus {
	var all []ListStatus
	for _, kind := range kinds {
		if one, ok := l.describe(kind, false); ok {
			all = append(all, one)
		}
	}
	return all
}

// describe opens the file of a kind for itself, so that what is in use goes on.
func (l *Lists) describe(kind Kind, verify bool) (ListStatus, bool) {
	s := ListStatus{Kind: kind}
	open, err := openList(l.path(kind))
	if errors.Is(err, fs.ErrNotExist) {
		return s, false
	}
	if err != nil {
		s.Problem = reason(err).Error()
		return s, true
	}
	s.Entries, s.ImportedAt, s.NewestAt = open.m.Entries, open.m.ImportedAt, open.m.NewestAt
	s.Bytes, s.Shards, s.Version = open.info.Size(), len(open.m.Shards), open.m.Version
	if verify {
		err = open.verifyAll()
	}
	if err = errors.Join(err, open.close()); err != nil {
		s.Problem = err.Error()
	}
	return s, true
}

// Verify compares the lists with their checksums, for a job: a disk that loses
// bits is noticed before somebody's password is asked for. A list that is in
// use and was found damaged is not asked any more.
func (l *Lists) Verify(context.Context) error {
	l.reload()
	var all error
	for _, kind := range kinds {
		one, ok := l.describe(kind, true)
		if !ok || one.Problem == "" {
			continue
		}
		wrong := fmt.Errorf("the list %s: %s", kind, one.Problem)
		l.mu.RLock()
		if open := l.open[kind]; open != nil && open.m.ImportedAt.Equal(one.ImportedAt) {
			_ = open.condemn(wrong) // is returned below
		}
		l.mu.RUnlock()
		all = errors.Join(all, wrong)
	}
	return all
}
