package access

import (
	"errors"
	"time"

	"troth/internal/id"
	"troth/internal/store"
)

// versionTx reads an authorization version; one that was never raised is 0.
func versionTx(tx *store.Tx, k key) (uint64, error) {
	var v int64
	err := tx.QueryRow(`SELECT version FROM access_version WHERE tenant = $1 AND account = $2`,
		k.tenant, k.account).Scan(&v)
	if errors.Is(err, store.ErrNoRows) {
		return 0, nil
	}
	return uint64(v), err
}

// bumpTx raises a version to the microsecond of now, or by one if the clock is
// behind: it grows even where the row was dropped in between.
func bumpTx(tx *store.Tx, k key, now time.Time) error {
	_, err := tx.Exec(`INSERT INTO access_version (tenant, account, version) VALUES ($1, $2, $3)
		ON CONFLICT (tenant, account) DO UPDATE SET version =
			CASE WHEN access_version.version >= excluded.version THEN access_version.version + 1 ELSE excluded.version END`,
		k.tenant, k.account, store.Micros(now))
	return err
}

func dropTx(tx *store.Tx, tenant id.Tenant) error {
	_, err := tx.Exec(`DELETE FROM access_version WHERE tenant = $1`, tenant)
	return err
}
