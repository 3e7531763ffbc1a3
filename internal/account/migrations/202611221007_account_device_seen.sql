-- +goose Up
CREATE INDEX IF NOT EXISTS account_device_seen ON account_device (seen_at);

-- +goose Down
DROP INDEX IF EXISTS account_device_seen;
