package store

import "database/sql"

// Handle is a bare handle to the database, for benchmarks against the engine
// itself and for tests that look from outside.
func Handle(db *DB) (*sql.DB, error) { return db.engine.handle() }
