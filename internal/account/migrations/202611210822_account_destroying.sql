-- +goose Up
CREATE INDEX IF NOT EXISTS account_destroying ON account (account) WHERE state = 'destroying';

-- +goose Down
DROP INDEX IF EXISTS account_destroying;
