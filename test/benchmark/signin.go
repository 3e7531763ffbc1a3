package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/argon2"

	"troth/internal/access"
	"troth/internal/account"
	"troth/internal/password"
	"troth/internal/secret"
)

// signInPairs is how often each side of a sign-in is measured.
const signInPairs = 15

// signIn measures a whole sign-in against the hash that nothing can save: look
// up the address by its blind index, compare, begin the session, record it,
// durably; first in process, then through the front door over TLS.
func signIn(ctx context.Context, l *lab) error {
	dir, err := l.house(ctx)
	if err != nil {
		return err
	}
	c, err := openChain(ctx, dir)
	if err != nil {
		return err
	}
	cost, err := c.accounts.Calibrated(ctx)
	if err != nil {
		return err
	}
	bare := func() { bareHash(cost.Params) }
	err = l.signIns("sign-in, in process", bare, func() error {
		_, err := c.accounts.SignIn(ctx, access.Nobody(from), account.Attempt{Email: email, Password: secret.Of(phrase)})
		return err
	})
	if err = errors.Join(err, l.beside(ctx, c, cost.Params), c.close()); err != nil {
		return err
	}
	s, err := l.serve(ctx, dir)
	if err != nil {
		return err
	}
	client := s.client()
	if err := s.quiet(ctx); err != nil {
		return err
	}
	err = l.signIns("sign-in by the form, over TLS", bare, func() error { return submit(ctx, client, s.origin) })
	if err = errors.Join(err, s.stop()); err != nil {
		return err
	}
	l.table.note("calibration of the password hash", fmt.Sprintf("%s takes %s", cost.Params, short(cost.Took)), "aimed at "+short(cost.Target))
	l.table.growth("the look-ups are by key (address, session, head of the log), so the share beside the hash does not grow with accounts; the hash does not either. Sign-ins at once are bounded by processors and account.password_memory.")
	return nil
}

// bareHash computes one hash as the standard package does it.
func bareHash(p password.Params) {
	argon2.IDKey([]byte(phrase), random(16), p.Passes, p.Memory, uint8(p.Lanes), 32)
}

func (l *lab) signIns(what string, bare func(), ours func() error) error {
	bare()
	if err := ours(); err != nil {
		return err
	}
	var p, computed pairs
	for range signInPairs {
		began, used := time.Now(), ownProcessor()
		bare()
		theirs, theirsUsed := time.Since(began), ownProcessor()-used
		began, used = time.Now(), ownProcessor()
		if err := ours(); err != nil {
			return err
		}
		p.take(float64(time.Since(began)), float64(theirs))
		computed.take(float64(ownProcessor()-used), float64(theirsUsed))
	}
	if strings.Contains(what, "in process") {
		l.table.note("the same in processor time, which other processes do not lengthen", short(time.Duration(median(computed.ours))),
			"bare: "+short(time.Duration(median(computed.theirs))), computed.String())
	}
	l.table.add(line{what: what, asked: "≤ 1.05 × bare Argon2id", measured: short(time.Duration(median(p.ours))),
		beside: "bare: " + short(time.Duration(median(p.theirs))), ratio: p.String(), holds: median(p.ratio) <= 1.05})
	return nil
}

// instant takes every password at once.
type instant struct{ password.Hashing }

// Verify implements password.Hashing.
func (instant) Verify(context.Context, string, secret.String) (password.Verdict, error) {
	return password.Verdict{Match: true}, nil
}

// beside measures all of a sign-in that is not the hash.
func (l *lab) beside(ctx context.Context, c *chain, p password.Params) error {
	c.accounts.Hashing = instant{c.accounts.Hashing}
	var rest, bare []time.Duration
	for i := range 150 {
		began := time.Now()
		if _, err := c.accounts.SignIn(ctx, access.Nobody(from), account.Attempt{Email: email, Password: secret.Of(phrase)}); err != nil {
			return err
		}
		rest = append(rest, time.Since(began))
		if i%30 == 0 {
			began = time.Now()
			bareHash(p)
			bare = append(bare, time.Since(began))
		}
	}
	l.table.note("all of a sign-in that is not the hash, in process", short(median(rest)), "bare hash: "+short(median(bare)),
		fmt.Sprintf("%.3f", 1+float64(median(rest))/float64(median(bare))))
	return nil
}

// ownProcessor is the processor time that this process has used.
func ownProcessor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// submit signs in by the form.
func submit(ctx context.Context, client *http.Client, origin string) error {
	form := url.Values{"email": {email}, "password": {phrase}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, origin+"/-/signin", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", origin)
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSeeOther {
		return fmt.Errorf("signing in answered %s", res.Status)
	}
	return nil
}
