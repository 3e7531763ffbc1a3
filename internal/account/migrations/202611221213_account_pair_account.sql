-- +goose Up
CREATE INDEX IF NOT EXISTS account_pair_account ON account_pair (account);

-- +goose Down
DROP INDEX IF EXISTS account_pair_account;
