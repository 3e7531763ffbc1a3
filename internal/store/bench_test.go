package store_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"troth/internal/id"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// logged is shaped like the tables of the log.
var logged = fstest.MapFS{"209901010002_logged.sql": {Data: []byte(`-- +goose Up
CREATE TABLE IF NOT EXISTS logged_event (tenant TEXT NOT NULL, id TEXT NOT NULL, at BIGINT NOT NULL, kind TEXT NOT NULL, PRIMARY KEY (tenant, id));
CREATE TABLE IF NOT EXISTS logged_payload (tenant TEXT NOT NULL, id TEXT NOT NULL, body BYTEA NOT NULL, PRIMARY KEY (tenant, id));
CREATE TABLE IF NOT EXISTS logged_pending (tenant TEXT NOT NULL, id TEXT NOT NULL, leaf BYTEA NOT NULL, PRIMARY KEY (tenant, id));
`)}}

const benchWriters = 64

// execer is a transaction of ours or a bare one.
type execer func(query string, args ...any) error

// logRows writes the rows of one event.
func logRows(exec execer, body []byte) error {
	tenant, event := "ten_00000000000000000000000001", string(id.New[id.Event](time.Now()))
	if err := exec("INSERT INTO logged_event (tenant, id, at, kind) VALUES ($1, $2, $3, $4)", tenant, event, time.Now().UnixMicro(), "account.signed_in"); err != nil {
		return err
	}
	if err := exec("INSERT INTO logged_payload (tenant, id, body) VALUES ($1, $2, $3)", tenant, event, body); err != nil {
		return err
	}
	return exec("INSERT INTO logged_pending (tenant, id, leaf) VALUES ($1, $2, $3)", tenant, event, body[:90])
}

// BenchmarkRaw inserts the rows of 64 events a transaction over database/sql,
// with prepared statements: what the engine itself does.
func BenchmarkRaw(b *testing.B) {
	o := storetest.SQLiteOptions(b)
	db := storetest.Open(b, o, logged)
	h, err := store.Handle(db)
	must(b, err)
	defer h.Close()
	body := make([]byte, 600)
	rand.Read(body)
	b.ResetTimer()
	for done := 0; done < b.N; done += benchWriters {
		tx, err := h.BeginTx(context.Background(), &sql.TxOptions{})
		must(b, err)
		for range benchWriters {
			must(b, logRows(func(q string, args ...any) error { _, err := tx.Exec(q, args...); return err }, body))
		}
		must(b, tx.Commit())
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkWrite inserts the same rows through Write with 64 writers.
func BenchmarkWrite(b *testing.B) {
	for _, writers := range []int{1, 8, benchWriters} {
		b.Run(fmt.Sprintf("sqlite/writers=%d", writers), func(b *testing.B) { benchWrite(b, storetest.SQLite(b, logged), writers) })
	}
	b.Run("postgres/writers=64", func(b *testing.B) { benchWrite(b, storetest.Postgres(b, logged), benchWriters) })
}

func benchWrite(b *testing.B, db *store.DB, writers int) {
	body := make([]byte, 600)
	rand.Read(body)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range writers {
		wg.Go(func() {
			for next.Add(1) <= int64(b.N) {
				err := db.Write(context.Background(), func(tx *store.Tx) error {
					tx.Unaudited("benchmark")
					return logRows(func(q string, args ...any) error { _, err := tx.Exec(q, args...); return err }, body)
				})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkRead reads one row by its key in a snapshot of its own.
func BenchmarkRead(b *testing.B) {
	for _, engine := range storetest.Engines {
		b.Run(engine, func(b *testing.B) {
			db := storetest.Open(b, storetest.Options(b, engine), kv)
			for i := range 1000 {
				must(b, put(context.Background(), db, fmt.Sprint(i), "x"))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; b.Loop(); i++ {
				must(b, db.Read(context.Background(), func(tx *store.Tx) error {
					return tx.QueryRow("SELECT v FROM kv WHERE k = $1", fmt.Sprint(i%1000)).Scan(new(string))
				}))
			}
		})
	}
}
