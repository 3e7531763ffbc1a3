-- +goose Up
CREATE TABLE IF NOT EXISTS trust_canary (
	name       TEXT   NOT NULL PRIMARY KEY, -- which synthetic person
	sealed     BYTEA  NOT NULL,             -- address and password
	created_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE IF EXISTS trust_canary;
