-- +goose Up
CREATE INDEX IF NOT EXISTS account_link_account ON account_link (account);

-- +goose Down
DROP INDEX IF EXISTS account_link_account;
