package account

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/semaphore"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/throttle"
)

// Choice is a password that somebody is choosing, and where.
type Choice struct {
	Password secret.String
	Email    string        // as the form has it
	Name     string        // likewise
	Link     secret.String // of the page, where a link led to it
	Pending  secret.String // of a sign-in that waits for another password
}

// Weigh says how strong a password is that somebody is choosing, and whether it
// would be taken: by the rules that will be asked when it is sent, about the
// person that it is for. It keeps nothing and says nothing in any log, and what
// it is asked with is worth nothing to whoever asks: it answers about nobody
// whose link, sign-in or session the asker does not hold.
//
// fault.TooMany and fault.Unavailable say when to ask again.
func (a *Accounts) Weigh(ctx context.Context, by access.Subject, q Choice) (password.Strength, error) {
	if wait := a.weighing.asked.Take(a.guess.t.Networks(by.Context.IP).Near, 1); wait > 0 {
		return password.Strength{}, errWeighed.In(patience(wait))
	}
	about, err := a.aboutAsker(ctx, by, q)
	if err != nil {
		return password.Strength{}, err
	}
	if err := a.weighing.begin(ctx); err != nil {
		return password.Strength{}, err
	}
	defer a.weighing.room.Release(1)
	return a.Rules.Weigh(ctx, q.Password, about)
}

// Least is how many characters a password needs that somebody is choosing: for
// the page that asks for it. Where it cannot be told, it is the larger number.
func (a *Accounts) Least(ctx context.Context, by access.Subject, q Choice) int {
	about, err := a.aboutAsker(ctx, by, q)
	if err != nil {
		return password.MinLength
	}
	return about.Least()
}

// aboutAsker is whom a password is chosen for: the holder of what the asker
// holds, or else whoever the form names.
func (a *Accounts) aboutAsker(ctx context.Context, by access.Subject, q Choice) (password.About, error) {
	form := password.About{Email: q.Email, Name: q.Name}
	account, alone := by.Account, false
	switch {
	case !q.Link.IsZero():
		l, err := a.peek(ctx, q.Link, linkReset, linkRecover, linkRegain, linkConfirm)
		if fault.KindOf(err) == fault.Gone {
			return form, nil
		}
		if err != nil {
			return form, err
		}
		if l.kind == linkConfirm {
			var in entered
			err := a.openLink(ctx, l, &in)
			form.Email = in.Email
			return form, err
		}
		account, alone = l.account, l.kind == linkRegain
	case !q.Pending.IsZero():
		p, err := a.Pending(ctx, q.Pending)
		if fault.KindOf(err) == fault.Gone {
			return form, nil
		}
		if err != nil {
			return form, err
		}
		account = p.Account
	case by.Kind != access.KindPerson:
		return form, nil
	}
	_, v, err := a.findKept(ctx, account)
	if err != nil {
		return form, err
	}
	about, err := a.about(ctx, v)
	about.Short = about.Short && !alone
	return about, err
}

// weighing bounds what the meter may cost: how often a network asks, and how
// many passwords are weighed at once, since one takes hundredths of a second
// of a processor.
type weighing struct {
	asked *throttle.Limiter
	room  *semaphore.Weighted
}

// Somebody who types a password asks some ten times; an office has many people.
const (
	weighBurst    = 120
	weighEvery    = time.Second
	weighPatience = 2 * time.Second
)

func (a *Accounts) openMeter(ctx context.Context) error {
	asked, err := a.guess.t.Limiter(ctx, throttle.Limits{Name: "account.meter", Rate: throttle.Rate{Every: weighEvery, Burst: weighBurst}, Alone: true})
	if err != nil {
		return fmt.Errorf("making the limit of the meter: %w", err)
	}
	a.weighing = &weighing{asked: asked, room: semaphore.NewWeighted(max(1, int64(runtime.GOMAXPROCS(0))/2))}
	return nil
}

func (w *weighing) begin(ctx context.Context) error {
	patient, stop := context.WithTimeout(ctx, weighPatience)
	defer stop()
	err := w.room.Acquire(patient, 1)
	if err != nil && ctx.Err() == nil {
		return errWeighing.In(weighPatience)
	}
	if err != nil {
		return fmt.Errorf("waiting to weigh a password: %w", err)
	}
	return nil
}

var (
	errWeighed  = fault.New(fault.TooMany, "account.meter_often", "Your network has asked the meter very often. The password is judged when you send the form.")
	errWeighing = fault.New(fault.Unavailable, "account.meter_busy", "The meter is busy. The password is judged when you send the form.")
)
