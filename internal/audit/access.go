package audit

import (
	"net/netip"
	"time"

	"troth/internal/id"
)

// AccessLine is one request, as the front door saw it.
type AccessLine struct {
	At       time.Time
	Method   string
	Host     string
	Path     string // the query is never recorded
	Route    string // the pattern that served it
	Status   int    // 0 while the answer is under way
	Bytes    int64  // of the answer's body
	Duration time.Duration
	Account  id.Account // "" of a stranger
	Tenant   id.Tenant  // "" is id.Platform
	Session  id.Session
	Request  id.Request
	IP       netip.Addr
	Agent    string
}

// Open is a request under way, see [Log.Begin].
type Open struct{ q *lineQueue }

// Access queues the line of a request that is over.
func (l *Log) Access(line AccessLine) error { return errTodo }

// Begin queues the line of a request before it is forwarded; End completes it.
func (l *Log) Begin(line AccessLine) (*Open, error) { return nil, errTodo }

// End completes the line.
func (o *Open) End(status int, bytes int64, d time.Duration) {}
