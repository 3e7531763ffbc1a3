-- +goose Up
CREATE UNIQUE INDEX IF NOT EXISTS account_device_account ON account_device (account, digest);

-- +goose Down
DROP INDEX IF EXISTS account_device_account;
