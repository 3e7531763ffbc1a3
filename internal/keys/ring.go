package keys

import (
	"context"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
)

// Ref names one entry of the keyring: "tenant/ten_…", "month/audit/202611".
// A ref is a name, not a secret; it stands in the keyring in the clear.
type Ref string

// maxRef bounds the length of a ref.
const maxRef = 200

// TenantRef names the key-encryption key of a tenant. It has versions.
func TenantRef(tenant id.Tenant) Ref { return Ref("tenant/" + string(tenant)) }

// SubjectRef names the key of one person: destroying it erases what the log
// and the tables hold about them.
func SubjectRef(account id.Account) Ref { return Ref("subject/" + string(account)) }

// MonthRef names the key of one class of records in one calendar month (UTC).
// Expiry destroys it.
func MonthRef(class string, at time.Time) Ref {
	return Ref("month/" + class + "/" + at.UTC().Format("200601"))
}

// ServiceRef names a key of the installation itself: "database", "index",
// "log-signer", "assertion/KID", "ca".
func ServiceRef(name string) Ref { return Ref("service/" + name) }

// indexRef names the blind-index key of a tenant; without a tenant, the one
// of the global sign-in index.
func indexRef(tenant id.Tenant) Ref {
	if tenant == "" {
		return ServiceRef("index")
	}
	return Ref("index/" + string(tenant))
}

// check refuses what cannot be a ref.
func (r Ref) check() error {
	ok := len(r) > 0 && len(r) <= maxRef
	for i := 0; ok && i < len(r); i++ {
		c := r[i]
		ok = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			c == '/' || c == '_' || c == '.' || c == '-' || c == ':'
	}
	if !ok {
		return fault.New(fault.Invalid, "keys.ref", "The name of a key is 1 to %d letters, digits and the signs / _ . : -.", maxRef)
	}
	return nil
}

// Entry is one version of one key in the keyring: only ever the wrapped value.
//
// An entry with an empty Wrapped is a tombstone. It says that the key was
// destroyed, so that nobody makes it again by accident; its Epoch is the one
// that was current then, so that the copy in older backups of the keyring is
// known to be dead once that epoch is retired.
type Entry struct {
	Ref       Ref
	Version   int    // from 1
	Epoch     string // the epoch key that Wrapped is wrapped under
	Wrapped   []byte
	CreatedAt time.Time
}

// Destroyed reports whether the entry is a tombstone.
func (e Entry) Destroyed() bool { return len(e.Wrapped) == 0 }

// Ring keeps wrapped keys. It never sees a key in the clear.
type Ring interface {
	// Entries returns all versions of a ref, the newest first, tombstones
	// included; none is an empty slice. It reads what was last made durable.
	Entries(ctx context.Context, ref Ref) ([]Entry, error)
	// Insert adds an entry and returns after it is durable. It is
	// fault.Conflict when (ref, version) exists, as a tombstone too.
	Insert(ctx context.Context, e Entry) error
	// Walk returns all versions of the limit refs that follow after, in the
	// order of (ref, version), tombstones included. No ref left is an empty
	// slice.
	Walk(ctx context.Context, after Ref, limit int) ([]Entry, error)
	// Rewrap replaces Wrapped and Epoch of the entries, in one transaction,
	// and returns after it is durable. An empty Wrapped makes a tombstone. An
	// entry that does not exist, or is a tombstone already, stays as it is:
	// a destroyed key never comes back.
	Rewrap(ctx context.Context, entries []Entry) error
	// Count returns the number of entries, for progress only.
	Count(ctx context.Context) (int, error)
}
