-- +goose Up
CREATE UNIQUE INDEX IF NOT EXISTS account_email ON account (email_index);

-- +goose Down
DROP INDEX IF EXISTS account_email;
