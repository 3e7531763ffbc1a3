-- +goose Up
CREATE TABLE IF NOT EXISTS sms_sent (
	id      TEXT   NOT NULL PRIMARY KEY,
	account TEXT   NOT NULL,
	number  BYTEA  NOT NULL, -- a blind index
	sent_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE IF EXISTS sms_sent;
