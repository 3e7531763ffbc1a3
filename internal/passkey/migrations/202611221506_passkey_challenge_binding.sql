-- +goose Up
CREATE INDEX IF NOT EXISTS passkey_challenge_binding ON passkey_challenge (binding, created_at);

-- +goose Down
DROP INDEX IF EXISTS passkey_challenge_binding;
