-- +goose Up
CREATE TABLE IF NOT EXISTS store_change (
	id         TEXT   NOT NULL PRIMARY KEY,
	topic      TEXT   NOT NULL,
	key        TEXT   NOT NULL,
	changed_at BIGINT NOT NULL
);

CREATE INDEX IF NOT EXISTS store_change_at ON store_change (changed_at);
