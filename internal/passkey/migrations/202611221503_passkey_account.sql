-- +goose Up
CREATE INDEX IF NOT EXISTS passkey_account ON passkey (account, passkey);

-- +goose Down
DROP INDEX IF EXISTS passkey_account;
