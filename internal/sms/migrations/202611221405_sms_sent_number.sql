-- +goose Up
CREATE INDEX IF NOT EXISTS sms_sent_number ON sms_sent (number, sent_at);

-- +goose Down
DROP INDEX IF EXISTS sms_sent_number;
