-- +goose Up
CREATE INDEX IF NOT EXISTS account_recovery_expires ON account_recovery (expires_at);

-- +goose Down
DROP INDEX IF EXISTS account_recovery_expires;
