-- +goose Up
CREATE INDEX IF NOT EXISTS factor_account ON factor (account, factor);

-- +goose Down
DROP INDEX IF EXISTS factor_account;
