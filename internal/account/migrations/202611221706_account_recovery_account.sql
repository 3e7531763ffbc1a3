-- +goose Up
CREATE UNIQUE INDEX IF NOT EXISTS account_recovery_account ON account_recovery (account, kind);

-- +goose Down
DROP INDEX IF EXISTS account_recovery_account;
