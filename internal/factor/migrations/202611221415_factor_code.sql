-- +goose Up
CREATE TABLE IF NOT EXISTS factor_code (
	account    TEXT    NOT NULL,
	kind       TEXT    NOT NULL,
	purpose    TEXT    NOT NULL, -- the sign-in, or the factor that is being set up
	digest     BYTEA   NOT NULL, -- keyed
	sent_at    BIGINT  NOT NULL,
	expires_at BIGINT  NOT NULL,
	tries      BIGINT  NOT NULL,
	used       BOOLEAN NOT NULL,
	PRIMARY KEY (account, kind, purpose, sent_at)
);

-- +goose Down
DROP TABLE IF EXISTS factor_code;
