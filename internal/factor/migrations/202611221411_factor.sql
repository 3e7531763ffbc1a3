-- +goose Up
CREATE TABLE IF NOT EXISTS factor (
	factor       TEXT   NOT NULL PRIMARY KEY,
	account      TEXT   NOT NULL,
	home         TEXT   NOT NULL,
	kind         TEXT   NOT NULL,
	name         BYTEA  NOT NULL, -- sealed
	secret       BYTEA  NOT NULL, -- sealed
	last_step    BIGINT NOT NULL, -- the newest time step of which a code was accepted
	created_at   BIGINT NOT NULL,
	confirmed_at BIGINT NOT NULL, -- 0: it counts for nothing yet
	used_at      BIGINT NOT NULL
);

-- +goose Down
DROP TABLE IF EXISTS factor;
