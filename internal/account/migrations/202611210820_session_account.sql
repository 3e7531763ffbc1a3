-- +goose Up
CREATE INDEX IF NOT EXISTS session_account ON session (account, session);

-- +goose Down
DROP INDEX IF EXISTS session_account;
