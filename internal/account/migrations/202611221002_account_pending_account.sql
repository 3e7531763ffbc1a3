-- +goose Up
CREATE INDEX IF NOT EXISTS account_pending_account ON account_pending (account);

-- +goose Down
DROP INDEX IF EXISTS account_pending_account;
