-- +goose Up
CREATE INDEX IF NOT EXISTS account_guess_account ON account_guess (account);

-- +goose Down
DROP INDEX IF EXISTS account_guess_account;
