-- +goose Up
CREATE INDEX IF NOT EXISTS session_expires ON session (expires_at);

-- +goose Down
DROP INDEX IF EXISTS session_expires;
