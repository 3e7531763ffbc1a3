-- +goose Up
CREATE INDEX IF NOT EXISTS account_pending_expires ON account_pending (expires_at);

-- +goose Down
DROP INDEX IF EXISTS account_pending_expires;
