-- +goose Up
CREATE INDEX IF NOT EXISTS account_address_expires ON account_address (expires_at);

-- +goose Down
DROP INDEX IF EXISTS account_address_expires;
