-- +goose Up
CREATE INDEX IF NOT EXISTS sms_sent_account ON sms_sent (account, sent_at);

-- +goose Down
DROP INDEX IF EXISTS sms_sent_account;
