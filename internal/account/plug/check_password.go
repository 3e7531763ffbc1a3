package plug

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"troth/internal/account"
	"troth/internal/fault"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/trust"
)

// population is how many accounts' hashes are looked at.
const population = 10_000

// checkStoredPassword exercises claim A1.
func (p *plug) checkStoredPassword(ctx context.Context, b trust.Bench) (trust.Result, error) {
	// Both sign up under passwords of their own; for the time of the check they
	// have the same one, which is thrown away afterwards.
	shared := secret.NewToken()
	var look trust.Look
	var stored []account.Rows
	for _, name := range []string{"hash-one", "hash-two"} {
		rows, err := p.storedUnder(ctx, b, name, shared, &look)
		if err != nil {
			return trust.Result{}, err
		}
		stored = append(stored, rows)
	}
	cost, err := p.accounts.Calibrated(ctx)
	if err != nil {
		return trust.Result{}, fmt.Errorf("reading the calibration: %w", err)
	}
	look.That(!cost.CalibratedAt.IsZero(), "the cost of a hash was calibrated", "yes", yes(!cost.CalibratedAt.IsZero()))
	var hashes []password.Hash
	for i, rows := range stored {
		h, ok, err := p.lookAtHash(ctx, &look, fmt.Sprintf("account %d", i+1), rows, shared, cost)
		if err != nil {
			return trust.Result{}, err
		}
		if ok {
			hashes = append(hashes, h)
		}
	}
	if len(hashes) == 2 {
		look.That(!bytes.Equal(hashes[0].Salt, hashes[1].Salt), "the salts of two accounts with the same password", "differ", differ(hashes[0].Salt, hashes[1].Salt))
		look.That(!bytes.Equal(hashes[0].Tag, hashes[1].Tag), "the hashes of two accounts with the same password", "differ", differ(hashes[0].Tag, hashes[1].Tag))
		lookAtTime(&look, hashes[0], cost)
	}
	n, err := p.accounts.CountHashes(ctx, operator(), population)
	if err != nil {
		return trust.Result{}, err
	}
	look.That(n.Weak == 0, "stored hashes that are under the floor, or none", "0", fmt.Sprintf("%d of %d", n.Weak, n.Looked))
	look.That(true, "stored hashes that came from another system and are made anew at the next sign-in", "any", fmt.Sprintf("%d of %d", n.Imported, n.Looked))
	return look.Result()
}

// storedUnder lets a canary change its password to the shared one and back, and
// returns what was stored in between.
func (p *plug) storedUnder(ctx context.Context, b trust.Bench, name string, shared secret.String, look *trust.Look) (account.Rows, error) {
	c, err := b.Canary(ctx, name)
	if err != nil {
		return account.Rows{}, err
	}
	v, err := c.SignIn(ctx, netip.Addr{})
	if err != nil {
		return account.Rows{}, err
	}
	if err := change(ctx, v, c.Password, shared); err != nil {
		return account.Rows{}, err
	}
	who, err := p.accounts.Find(ctx, operator(), c.Address)
	if err != nil {
		return account.Rows{}, fmt.Errorf("finding a canary: %w", err)
	}
	rows, err := p.accounts.Inspect(ctx, operator(), who.ID)
	if err != nil {
		return account.Rows{}, err
	}
	for what, try := range map[string]secret.String{"the password it had before": c.Password, "a wrong password": secret.NewToken()} {
		stranger, err := b.Visitor(netip.Addr{})
		if err != nil {
			return account.Rows{}, err
		}
		page, err := stranger.SignIn(ctx, c.Address, try)
		if err != nil {
			return account.Rows{}, err
		}
		look.Equal("signing in with "+what, http.StatusUnauthorized, page.Status)
	}
	return rows, change(ctx, v, shared, c.Password)
}

func change(ctx context.Context, v *trust.Visitor, from, to secret.String) error {
	page, err := v.Post(ctx, "/-/account/password", "current", from.Reveal(), "password", to.Reveal())
	if err != nil {
		return err
	}
	if page.Status != http.StatusSeeOther {
		return fault.New(fault.Unavailable, "account.canary_password", "The canary could not change its password: the front door answered %d.", page.Status)
	}
	return nil
}

// lookAtHash says what a stored password is. Nothing of it is observed but its
// cost and the lengths of its parts.
func (p *plug) lookAtHash(ctx context.Context, look *trust.Look, whose string, rows account.Rows, typed secret.String, cost account.Cost) (password.Hash, bool, error) {
	where := 0
	for _, column := range rows.Columns {
		if holds(column, typed.Reveal()) {
			where++
		}
	}
	look.That(where == 0, "columns of the rows of "+whose+" that hold the password", "0", fmt.Sprintf("%d of %d", where, len(rows.Columns)))
	h, err := password.ParseHash(rows.Password)
	seen := "something else"
	if err == nil {
		seen = h.Params.Scheme.String() + " " + h.Params.String()
	}
	enough := err == nil && !h.Params.Below(cost.Params) && !h.Params.Weak()
	look.That(enough, "the stored password of "+whose, cost.String()+" or above", seen)
	if err != nil {
		return password.Hash{}, false, nil
	}
	look.That(len(h.Salt) >= 16 && len(h.Tag) >= 32, "the lengths of salt and hash of "+whose+", in bytes", "at least 16 and 32", fmt.Sprintf("%d and %d", len(h.Salt), len(h.Tag)))
	pepper, err := p.accounts.Pepper().Of(ctx, h)
	if err != nil {
		return password.Hash{}, false, err
	}
	is := enough && h.IsUnder(pepper, typed.Reveal())
	look.That(is, "the stored password of "+whose+" is the hash of what was typed", "yes", yes(is))
	if p.config.PasswordPepper && enough {
		look.That(h.Key != 0, "the hash of "+whose+" was made under the pepper", "yes", yes(h.Key != 0))
		bare := h
		bare.Key = 0
		without := bare.Is(typed.Reveal())
		look.That(!without, "the hash of "+whose+" can be compared without the pepper", "no", yes(without))
	}
	return h, true, nil
}

// holds looks for a password as it is and in the usual encodings.
func holds(column []byte, password string) bool {
	lower := strings.ToLower(string(column))
	for _, form := range []string{
		password, hex.EncodeToString([]byte(password)),
		base64.RawStdEncoding.EncodeToString([]byte(password)), base64.RawURLEncoding.EncodeToString([]byte(password)),
	} {
		if strings.Contains(lower, strings.ToLower(form)) {
			return true
		}
	}
	return false
}

// lookAtTime measures the hash on this machine: the best of three, so that what
// else runs here does not count. A floor that takes longer than what was aimed
// at is as it should be.
func lookAtTime(look *trust.Look, h password.Hash, cost account.Cost) {
	best := password.Measure(h.Params)
	for range 2 {
		best = min(best, password.Measure(h.Params))
	}
	least := cost.Target / 2
	look.That(cost.Target > 0 && best >= least, "how long one hash takes on this machine",
		"at least "+least.Round(time.Millisecond).String()+", half of what was aimed at", best.Round(time.Millisecond).String())
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func differ(a, b []byte) string {
	if bytes.Equal(a, b) {
		return "are the same"
	}
	return "differ"
}
