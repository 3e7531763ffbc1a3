-- +goose Up
CREATE TABLE IF NOT EXISTS keyring_entry (
	ref        TEXT   NOT NULL,
	version    BIGINT NOT NULL,
	epoch      TEXT   NOT NULL,
	wrapped    BYTEA  NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (ref, version)
);
