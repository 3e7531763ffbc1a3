-- +goose Up
CREATE INDEX IF NOT EXISTS account_device_digest ON account_device (digest);

-- +goose Down
DROP INDEX IF EXISTS account_device_digest;
