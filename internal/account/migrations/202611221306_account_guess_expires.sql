-- +goose Up
CREATE INDEX IF NOT EXISTS account_guess_expires ON account_guess (expires_at);

-- +goose Down
DROP INDEX IF EXISTS account_guess_expires;
