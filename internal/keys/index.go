package keys

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"

	"troth/internal/id"
)

// maxIndexVersion is what fits into the first byte of an index.
const maxIndexVersion = 255

// Index is the blind index of a value in a column: one byte with the version
// of the index key and HMAC-SHA-256 of the value under a key of that tenant,
// column and version. Equal values of one column have equal indexes: that is
// what it is for, and all it tells. The caller passes what [Normalise] made.
//
// Without a tenant it is the global index, which sign-in needs: there, equal
// addresses of two tenants are seen to be equal. The key is made at its first
// use, and is destroyed together with the tenant's.
func (k *Keys) Index(ctx context.Context, tenant id.Tenant, column, normalised string) ([]byte, error) {
	all, err := k.indexes(ctx, tenant, column, normalised, 1)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// Indexes returns the index under every version of the key, newest first: for
// looking up while rows of an older version remain.
func (k *Keys) Indexes(ctx context.Context, tenant id.Tenant, column, normalised string) ([][]byte, error) {
	return k.indexes(ctx, tenant, column, normalised, maxIndexVersion)
}

func (k *Keys) indexes(ctx context.Context, tenant id.Tenant, column, normalised string, limit int) ([][]byte, error) {
	ref := indexRef(tenant)
	m, err := k.get(ctx, ref)
	if errors.Is(err, ErrUnknown) {
		if err = k.Create(ctx, ref, keySize); err == nil {
			m, err = k.get(ctx, ref)
		}
	}
	if err == nil {
		_, err = m.newest()
	}
	if err != nil {
		return nil, fmt.Errorf("indexing the column %s: %w", column, err)
	}
	var all [][]byte
	for _, v := range m.versions {
		if len(all) == limit {
			break
		}
		if v.number > maxIndexVersion {
			return nil, fmt.Errorf("indexing the column %s: the index has had all its %d versions", column, maxIndexVersion)
		}
		if v.key == nil {
			continue // wrapped under an epoch that is gone: no row can be found by it
		}
		index, err := blindIndex(v, tenant, column, normalised)
		if err != nil {
			return nil, err
		}
		all = append(all, index)
	}
	return all, nil
}

// blindIndex is version ‖ HMAC-SHA-256(HKDF(key, tenant, column, version), value).
func blindIndex(v version, tenant id.Tenant, column, value string) ([]byte, error) {
	info := appendPart([]byte("troth index v1"), string(tenant))
	info = appendPart(info, column)
	info = binary.BigEndian.AppendUint16(info, uint16(v.number))
	key, err := hkdf.Key(sha256.New, v.key, nil, string(info), keySize)
	if err != nil {
		return nil, fmt.Errorf("deriving the index key of %s: %w", column, err)
	}
	defer clear(key)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(value))
	return mac.Sum([]byte{byte(v.number)}), nil
}

// Normalise is the form in which values are indexed: without space around it,
// in Unicode normalisation form C (UAX #15), in lower case. Dots and tags of
// mail addresses are kept: whether they matter is for the receiving host to
// say (RFC 5321, 2.3.11). Normalising twice changes nothing.
func Normalise(s string) string {
	s = norm.NFC.String(strings.ToLower(norm.NFC.String(s)))
	return strings.TrimSpace(s)
}
