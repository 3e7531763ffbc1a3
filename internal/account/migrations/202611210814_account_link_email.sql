-- +goose Up
CREATE INDEX IF NOT EXISTS account_link_email ON account_link (email_index, created_at);

-- +goose Down
DROP INDEX IF EXISTS account_link_email;
