package account

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store"
)

// PairReport is what a sweep of credential pairs found.
type PairReport struct {
	Lines    int64 `json:"lines"`
	Unread   int64 `json:"unreadable"` // no address, or nothing after it
	Accounts int64 `json:"accounts"`   // pairs whose address has an account
	Compare  int64 `json:"to_compare"` // of these, in plain text: compared with the stored hash, by a job
	Keep     int64 `json:"to_keep"`    // of these, hashes: compared with what is typed at the next sign-in
	Known    int64 `json:"known"`      // of these, waiting already
}

// The kinds of what is found with an address.
const (
	pairText   = "text"
	pairHash   = "hash"   // unsalted: a keyed digest is kept
	pairBcrypt = "bcrypt" // salted: only itself can be compared with
)

// The bounds of a sweep.
const (
	maxPairLine = 8 << 10
	pairBatch   = 500
	maxCost     = 14 // of bcrypt: about a second
)

// pair is one line that can be read.
type pair struct{ email, secret string }

// SweepPairs reads credential pairs that were stolen elsewhere, ADDRESS:PASSWORD
// or ADDRESS:HASH a line, for the operator on the host. A pair whose address has
// no account is dropped at once. Of the others a password is sealed and waits
// for [Accounts.ComparePairs]; an unsalted hash is kept as a keyed digest and a
// bcrypt hash sealed, until the holder signs in next and types what can be
// compared. Nothing is kept in plain text. A dry run only counts.
func (a *Accounts) SweepPairs(ctx context.Context, by access.Subject, in io.Reader, dry bool) (PairReport, error) {
	var report PairReport
	if err := onHost(by); err != nil {
		return report, err
	}
	lines := bufio.NewReaderSize(in, maxPairLine)
	batch := make([]pair, 0, pairBatch)
	for {
		p, ok, err := nextPair(lines)
		if err != nil && !errors.Is(err, io.EOF) {
			return report, fmt.Errorf("reading credential pairs: %w", err)
		}
		if err == nil {
			report.Lines++
			if ok {
				batch = append(batch, p)
			} else {
				report.Unread++
			}
		}
		if len(batch) == pairBatch || err != nil && len(batch) > 0 {
			if err := a.sweepBatch(ctx, batch, dry, &report); err != nil {
				return report, err
			}
			batch = batch[:0]
		}
		if err != nil {
			break
		}
	}
	if dry {
		return report, nil
	}
	err := a.DB.Write(ctx, func(tx *store.Tx) error {
		_, err := a.Log.AppendTx(tx, a.event(evSwept, by, person{}, map[string]string{
			"pairs": strconv.FormatInt(report.Lines, 10), "accounts": strconv.FormatInt(report.Accounts, 10),
		}))
		return err
	})
	if err != nil {
		return report, fmt.Errorf("recording a sweep of credential pairs: %w", err)
	}
	return report, nil
}

// nextPair reads a line. One that is too long or has no pair is not ok. The
// separators are those of the collections that go round.
func nextPair(in *bufio.Reader) (p pair, ok bool, err error) {
	line, err := in.ReadSlice('\n')
	long := errors.Is(err, bufio.ErrBufferFull)
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = in.ReadSlice('\n')
	}
	if errors.Is(err, io.EOF) && (len(line) > 0 || long) {
		err = nil // the next read ends
	}
	if err != nil || long {
		return pair{}, false, err
	}
	line = bytes.TrimRight(line, "\r\n")
	at := bytes.IndexByte(line, '@')
	if at < 1 {
		return pair{}, false, nil
	}
	end := bytes.IndexAny(line[at:], ":;\t")
	if end < 2 || at+end+1 == len(line) {
		return pair{}, false, nil
	}
	return pair{string(bytes.TrimSpace(line[:at+end])), string(line[at+end+1:])}, true, nil
}

// sweepBatch keeps what concerns accounts, in one transaction.
func (a *Accounts) sweepBatch(ctx context.Context, batch []pair, dry bool, report *PairReport) error {
	indexes := make([][][]byte, len(batch))
	for i, p := range batch {
		var err error
		if indexes[i], err = a.indexes(ctx, p.email); err != nil {
			return err
		}
	}
	var found []row
	var with []string
	err := a.DB.Read(ctx, func(tx *store.Tx) error {
		found, with = found[:0], with[:0]
		for i, p := range batch {
			r, err := byEmail(tx, indexes[i])
			if err != nil {
				return err
			}
			if r.state.kept() && r.password != "" {
				found, with = append(found, r), append(with, p.secret)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("looking for the accounts of credential pairs: %w", err)
	}
	for i, r := range found {
		if err := a.keepPair(ctx, r.person, with[i], dry, report); err != nil {
			return err
		}
	}
	return nil
}

// keepPair keeps what was found with the address of one account.
func (a *Accounts) keepPair(ctx context.Context, who person, found string, dry bool, report *PairReport) error {
	report.Accounts++
	kind := kindOfSecret(found)
	var counter *int64
	switch kind {
	case "":
		report.Unread++
		return nil
	case pairText:
		counter = &report.Compare
	default:
		counter = &report.Keep
	}
	if dry {
		*counter++
		return nil
	}
	if kind == pairHash {
		found = strings.ToLower(found)
	}
	digests, err := a.pairDigests(ctx, who.account, kind, found)
	if err != nil {
		return err
	}
	digest := digests[0]
	var sealed []byte
	if kind != pairHash {
		if sealed, err = a.Keys.Seal(ctx, who.pairPlace(digest), []byte(found), who.refs()...); err != nil {
			return fmt.Errorf("sealing a credential pair: %w", err)
		}
	}
	var n int64
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("the sweep is recorded when it has ended")
		n, err = tx.Exec(`INSERT INTO account_pair (digest, account, kind, sealed, added_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (digest) DO NOTHING`,
			digest, who.account, kind, sealed, store.Micros(a.now()))
		return err
	})
	if err != nil {
		return fmt.Errorf("keeping a credential pair: %w", err)
	}
	if n == 0 {
		counter = &report.Known
	}
	*counter++
	return nil
}

// pairDigests are the keyed digests of what was found with the address of an
// account, under every version of the key, the newest first. Two accounts with
// the same one have different digests.
func (a *Accounts) pairDigests(ctx context.Context, account id.Account, kind, found string) ([][]byte, error) {
	d, err := a.Keys.Indexes(ctx, "", "account_pair.digest", string(account)+" "+kind+" "+found)
	if err != nil {
		return nil, fmt.Errorf("computing the digest of a credential pair: %w", err)
	}
	return d, nil
}

func (p person) pairPlace(digest []byte) keys.Place {
	return keys.Place{Tenant: p.home, Table: "account_pair", Column: "sealed", Row: hex.EncodeToString(digest)}
}

// kindOfSecret tells a password from a hash. What is as long as a hash and has
// only its digits is taken for one: it is compared all the same, later.
func kindOfSecret(s string) string {
	if strings.HasPrefix(s, "$2") {
		if cost, err := bcrypt.Cost([]byte(s)); err == nil && cost <= maxCost {
			return pairBcrypt
		}
	}
	switch len(s) {
	case 2 * md5.Size, 2 * sha1.Size, 2 * sha256.Size, 2 * sha512.Size:
		if _, err := hex.DecodeString(s); err == nil {
			return pairHash
		}
	}
	if _, ok := password.Normalise(secret.Of(s)); !ok || strings.HasPrefix(s, "$2") || strings.HasPrefix(s, "$argon2") {
		return "" // bytes that nobody types, or a hash that cannot be computed here
	}
	return pairText
}

// typed compares a password that was typed, and was right, with the hashes that
// were found beside the address. It reports whether there are any: they are
// dropped afterwards, whatever came of it.
func (a *Accounts) typed(ctx context.Context, r row, p secret.String) (how exposure, waiting bool, err error) {
	type kept struct {
		kind           string
		digest, sealed []byte
	}
	var all []kept
	err = a.DB.Read(ctx, func(tx *store.Tx) error {
		all = all[:0]
		rows, err := tx.Query(`SELECT kind, digest, sealed FROM account_pair WHERE account = $1 AND kind <> $2 ORDER BY added_at DESC LIMIT 100`, r.account, pairText)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var k kept
			if err := rows.Scan(&k.kind, &k.digest, &k.sealed); err != nil {
				return err
			}
			all = append(all, k)
		}
		return rows.Err()
	})
	if err != nil || len(all) == 0 {
		return "", false, err
	}
	slow := 0
	var plain [][]byte
	for _, k := range all {
		if k.kind == pairHash {
			plain = append(plain, k.digest)
			continue
		}
		if slow++; slow > maxSlow {
			continue
		}
		hash, err := a.Keys.Open(ctx, r.pairPlace(k.digest), k.sealed, r.refs()...)
		if err != nil {
			return "", false, fmt.Errorf("opening a credential pair: %w", err)
		}
		if bcrypt.CompareHashAndPassword(hash, []byte(p.Reveal())) == nil {
			return inPair, true, nil
		}
	}
	for _, hash := range unsalted(p.Reveal()) {
		digests, err := a.pairDigests(ctx, r.account, pairHash, hex.EncodeToString(hash))
		if err != nil {
			return "", false, err
		}
		for _, d := range plain {
			for _, digest := range digests {
				if hmac.Equal(d, digest) {
					return inPair, true, nil
				}
			}
		}
	}
	return "", true, nil
}

// maxSlow bounds the bcrypt hashes that a sign-in compares.
const maxSlow = 3

// unsalted are the hashes that stolen collections hold.
func unsalted(text string) [][]byte {
	m, s, s2, s5 := md5.Sum([]byte(text)), sha1.Sum([]byte(text)), sha256.Sum256([]byte(text)), sha512.Sum512([]byte(text))
	return [][]byte{m[:], s[:], s2[:], s5[:], password.NTLM(secret.Of(text))}
}
