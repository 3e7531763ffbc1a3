-- +goose Up
CREATE TABLE IF NOT EXISTS mail_dev (
	id     TEXT   PRIMARY KEY,
	at     BIGINT NOT NULL,
	sealed BYTEA  NOT NULL
);

-- +goose Down
DROP TABLE mail_dev;
