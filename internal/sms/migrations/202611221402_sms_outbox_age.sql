-- +goose Up
CREATE INDEX IF NOT EXISTS sms_outbox_age ON sms_outbox (queued_at);

-- +goose Down
DROP INDEX IF EXISTS sms_outbox_age;
