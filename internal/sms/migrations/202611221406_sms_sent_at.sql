-- +goose Up
CREATE INDEX IF NOT EXISTS sms_sent_at ON sms_sent (sent_at);

-- +goose Down
DROP INDEX IF EXISTS sms_sent_at;
