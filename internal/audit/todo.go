package audit

import (
	"context"
	"errors"
	"time"

	"troth/internal/id"
	"troth/internal/store"
	"troth/internal/text"
	"troth/verify"
)

var errTodo = errors.New("audit: being written")

const keySize = 32

type signer struct{}
type publishedFile struct {
	path string
	now  func() time.Time
}
type months struct{}
type refusals struct{}
type lineQueue struct{ full chan struct{} }

func (r *refusals) init()                          {}
func (q *lineQueue) init(func() time.Time)         {}
func (q *lineQueue) ready(time.Time) error         { return nil }
func (l *Log) openSigner(context.Context) error    { return errTodo }
func (l *Log) fixOrigin(context.Context, string) error { return errTodo }
func (l *Log) compareWithPublished(context.Context) error { return errTodo }
func (l *Log) flush(context.Context, bool) error   { return errTodo }
func (l *Log) PrepareMonths(context.Context) error { return errTodo }

func (l *Log) AppendTx(tx *store.Tx, e Event) (id.Event, error) { return "", errTodo }
func (l *Log) Refused(ctx context.Context, e Event) error       { return errTodo }
func (l *Log) Flush(ctx context.Context) error                  { return errTodo }
func (l *Log) Sequence(ctx context.Context) (int, error)        { return 0, errTodo }
func (l *Log) Proof(ctx context.Context, tenant id.Tenant, event id.Event, reveal ...id.Account) (verify.EventProof, error) {
	return verify.EventProof{}, errTodo
}
func (l *Log) Evidence(ctx context.Context, tx *store.Tx, envelope []byte) ([32]byte, error) {
	return [32]byte{}, errTodo
}
func (l *Log) EvidenceIndex(ctx context.Context, digest [32]byte) (int64, bool, error) {
	return 0, false, errTodo
}
func (l *Log) EvidenceBytes(ctx context.Context, hex string) ([]byte, error) { return nil, errTodo }

// VKey is the note verifier key.
func (l *Log) VKey() string                                            { return "" }
func (l *Log) Sign(message []byte) []byte                              { return nil }
func (l *Log) Checkpoint(ctx context.Context) ([]byte, error)          { return nil, errTodo }
func (l *Log) Tile(ctx context.Context, path string) ([]byte, error)   { return nil, errTodo }
func (l *Log) Export(ctx context.Context, dir string, progress func(done, total int)) error {
	return errTodo
}
func (l *Log) Expire(ctx context.Context, class string, keep time.Duration) error { return errTodo }

// Filter, Entry: see read.go.
type Filter struct {
	Tenant  id.Tenant
	Account id.Account
	Types   []string
	Before  id.Event
	Limit   int
}
type Entry struct {
	Event
	Outcome  Outcome
	Sentence text.Text
	LogIndex int64
	Sealed   bool
	Shredded bool
}

func (l *Log) List(ctx context.Context, f Filter) ([]Entry, id.Event, error) { return nil, "", errTodo }
func (l *Log) Get(ctx context.Context, tenant id.Tenant, event id.Event) (Entry, error) {
	return Entry{}, errTodo
}
func (l *Log) GetOwn(ctx context.Context, account id.Account, event id.Event) (Entry, error) {
	return Entry{}, errTodo
}
