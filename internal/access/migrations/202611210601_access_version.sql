-- +goose Up
CREATE TABLE IF NOT EXISTS access_version (
	tenant  TEXT   NOT NULL,
	account TEXT   NOT NULL,
	version BIGINT NOT NULL,
	PRIMARY KEY (tenant, account)
);

-- +goose Down
DROP TABLE IF EXISTS access_version;
