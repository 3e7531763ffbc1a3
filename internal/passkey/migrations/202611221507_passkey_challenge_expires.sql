-- +goose Up
CREATE INDEX IF NOT EXISTS passkey_challenge_expires ON passkey_challenge (expires_at);

-- +goose Down
DROP INDEX IF EXISTS passkey_challenge_expires;
