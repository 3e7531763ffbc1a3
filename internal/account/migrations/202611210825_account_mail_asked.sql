-- +goose Up
CREATE INDEX IF NOT EXISTS account_mail_asked ON account_mail (asked_at);

-- +goose Down
DROP INDEX IF EXISTS account_mail_asked;
