-- +goose Up
CREATE TABLE IF NOT EXISTS factor_recovery (
	account    TEXT   NOT NULL,
	digest     BYTEA  NOT NULL, -- keyed
	created_at BIGINT NOT NULL,
	used_at    BIGINT NOT NULL, -- 0: not used
	PRIMARY KEY (account, digest)
);

-- +goose Down
DROP TABLE IF EXISTS factor_recovery;
