-- +goose Up
CREATE UNIQUE INDEX IF NOT EXISTS passkey_digest ON passkey (digest);

-- +goose Down
DROP INDEX IF EXISTS passkey_digest;
