-- +goose Up
CREATE UNIQUE INDEX IF NOT EXISTS session_digest ON session (digest);

-- +goose Down
DROP INDEX IF EXISTS session_digest;
