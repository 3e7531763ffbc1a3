-- +goose Up
CREATE TABLE IF NOT EXISTS tenant (
	tenant       TEXT   NOT NULL PRIMARY KEY,
	kind         TEXT   NOT NULL,
	name         BYTEA  NOT NULL, -- sealed; empty once destroyed
	founder      TEXT   NOT NULL,
	created_at   BIGINT NOT NULL,
	destroyed_at BIGINT NOT NULL, -- 0: it exists
	shredded_at  BIGINT NOT NULL  -- 0: its key exists
);

-- +goose Down
DROP TABLE IF EXISTS tenant;
