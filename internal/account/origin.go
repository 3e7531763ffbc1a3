package account

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/place"
	"troth/internal/store"
	"troth/internal/text"
)

// origin is where something was done from, as a request tells it. It is kept
// sealed; the place is found anew whenever it is shown (package place).
type origin struct {
	IP    netip.Addr `json:"ip,omitzero"`
	Agent string     `json:"agent,omitempty"`
}

const maxAgent = 512

func originOf(by access.Subject) origin {
	return origin{IP: by.Context.IP, Agent: cut(by.Context.Agent, maxAgent)}
}

// sealOrigin seals an origin under the subject's key.
func (a *Accounts) sealOrigin(ctx context.Context, at keys.Place, account id.Account, from origin) ([]byte, error) {
	plain, err := json.Marshal(from)
	if err != nil {
		return nil, fmt.Errorf("writing an origin: %w", err)
	}
	b, err := a.Keys.Seal(ctx, at, plain, keys.SubjectRef(account))
	if err != nil {
		return nil, fmt.Errorf("sealing an origin: %w", err)
	}
	return b, nil
}

// openOrigin opens what sealOrigin made; nothing is nowhere.
func (a *Accounts) openOrigin(ctx context.Context, at keys.Place, account id.Account, sealed []byte) (origin, error) {
	if len(sealed) == 0 {
		return origin{}, nil
	}
	plain, err := a.Keys.Open(ctx, at, sealed, keys.SubjectRef(account))
	if err != nil {
		return origin{}, fmt.Errorf("opening an origin: %w", err)
	}
	var from origin
	if err := json.Unmarshal(plain, &from); err != nil {
		return origin{}, fmt.Errorf("reading an origin: %w", err)
	}
	return from, nil
}

// device says what the agent calls itself, in words that can stand in a mail:
// anybody can send any agent, so one that could mislead is not repeated.
func (o origin) device() text.Text {
	name, flaw := text.ReadName(audit.Device(o.Agent), 60)
	if flaw != text.Fair {
		return text.New("an unknown program")
	}
	return line(name)
}

// where says where an address is, and which it is.
func where(p place.Place) text.Text {
	switch {
	case p.Named():
		return text.New("%s (%s)", p.String(), p.Network())
	case p.Network() != "":
		return text.New("the address %s", p.Network())
	}
	return text.New("an unknown address")
}

// Spot is where an address is, for people.
type Spot struct {
	Place   string `json:"place,omitempty"` // "Graz, Austria"; nothing where that is not known
	Network string `json:"network"`         // the address
}

func (a *Accounts) spot(from origin) Spot {
	p := a.Atlas.Find(from.IP)
	s := Spot{Network: p.Network()}
	if p.Named() {
		s.Place = p.String()
	}
	return s
}

// use is the newest sign of life of an account.
type use struct {
	at   time.Time
	from origin
}

// lastUseTx finds where and when an account was last used: in a session, or at a
// sign-in in a browser that is still known.
func (a *Accounts) lastUseTx(ctx context.Context, tx *store.Tx, account id.Account) (use, error) {
	var s session
	err := eachSession(tx, account, func(each session) {
		if each.seenAt = max(each.seenAt, a.sessions.seenAt(each.digest)); each.seenAt > s.seenAt {
			s = each
		}
	})
	if err != nil {
		return use{}, err
	}
	d, err := newestDeviceTx(tx, account)
	switch {
	case err != nil:
		return use{}, err
	case s.seenAt >= d.seenAt && s.session != "":
		_, last, err := a.originsOf(ctx, s)
		return use{store.FromMicros(s.seenAt), last}, err
	case d.device != "":
		from, err := a.openOrigin(ctx, d.at(), account, d.place)
		return use{store.FromMicros(d.seenAt), from}, err
	}
	return use{}, nil
}
