-- +goose Up
CREATE INDEX IF NOT EXISTS mail_outbox_age ON mail_outbox (queued_at);

-- +goose Down
DROP INDEX mail_outbox_age;
