-- +goose Up
CREATE INDEX IF NOT EXISTS account_link_expires ON account_link (expires_at);

-- +goose Down
DROP INDEX IF EXISTS account_link_expires;
