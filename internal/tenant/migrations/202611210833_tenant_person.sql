-- +goose Up
CREATE TABLE IF NOT EXISTS tenant_person (
	tenant  TEXT   NOT NULL,
	account TEXT   NOT NULL,
	role    TEXT   NOT NULL,
	since   BIGINT NOT NULL,
	PRIMARY KEY (tenant, account)
);

-- +goose Down
DROP TABLE IF EXISTS tenant_person;
