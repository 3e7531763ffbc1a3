-- +goose Up
CREATE INDEX IF NOT EXISTS account_past_expires ON account_past (expires_at);

-- +goose Down
DROP INDEX IF EXISTS account_past_expires;
