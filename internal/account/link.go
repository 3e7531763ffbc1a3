package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
)

// errGone is the one answer to every link that cannot be used: the sentence
// does not tell a used one from one that never was.
var errGone = fault.New(fault.Gone, "account.link_gone", "This link was used already, has expired, or was replaced by a newer one. Ask for a new one.")

// newLink makes a link that is not stored yet. What it keeps is sealed.
func (a *Accounts) newLink(ctx context.Context, kind string, account id.Account, life time.Duration, keep any) (secret.String, link, error) {
	token := secret.NewToken()
	digest, _ := secret.DigestOf(token.Reveal())
	now := a.now()
	l := link{digest: digest, kind: kind, account: account, createdAt: store.Micros(now), expiresAt: store.Micros(now.Add(life))}
	if keep == nil {
		return token, l, nil
	}
	var err error
	l.payload, err = a.sealLink(ctx, digest, keep)
	return token, l, err
}

// peek finds a link of one of the kinds and uses nothing up.
func (a *Accounts) peek(ctx context.Context, token secret.String, kinds ...string) (link, error) {
	digest, ok := secret.DigestOf(token.Reveal())
	if !ok {
		return link{}, errGone
	}
	var l link
	err := a.DB.Read(ctx, func(tx *store.Tx) (err error) {
		l, ok, err = peekLink(tx, digest, a.now())
		return err
	})
	switch {
	case err != nil:
		return link{}, fmt.Errorf("looking for a link: %w", err)
	case !ok || !slices.Contains(kinds, l.kind):
		return link{}, errGone
	}
	return l, nil
}

// linkFailed records that a link could not be used, and returns the error.
func (a *Accounts) linkFailed(ctx context.Context, by access.Subject, err error) error {
	if !errors.Is(err, errGone) {
		return err
	}
	return a.refused(ctx, a.event(evLinkFailed, by, person{}, nil), err)
}

// refused records a refusal in a transaction of its own and returns the
// refusal. A refusal that cannot be recorded is not given: the caller gets
// fault.Unavailable, whatever the reason was.
func (a *Accounts) refused(ctx context.Context, e audit.Event, refusal error) error {
	if err := a.Log.Refused(ctx, e); err != nil {
		return fault.Wrap(err, fault.Unavailable, "account.unrecorded", "This cannot be recorded at the moment, so it was not done. Try again in a minute.")
	}
	return refusal
}

func orGone(err error) error {
	if err != nil {
		return err
	}
	return errGone
}
