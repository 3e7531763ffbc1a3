-- +goose Up
CREATE INDEX IF NOT EXISTS account_mail_email ON account_mail (email_index, purpose, asked_at);

-- +goose Down
DROP INDEX IF EXISTS account_mail_email;
