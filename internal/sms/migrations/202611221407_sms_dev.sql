-- +goose Up
CREATE TABLE IF NOT EXISTS sms_dev (
	id     TEXT   NOT NULL PRIMARY KEY,
	at     BIGINT NOT NULL,
	sealed BYTEA  NOT NULL
);

-- +goose Down
DROP TABLE IF EXISTS sms_dev;
