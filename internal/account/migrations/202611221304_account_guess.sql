-- +goose Up
CREATE TABLE IF NOT EXISTS account_guess (
	key          BYTEA   NOT NULL PRIMARY KEY, -- keyed digest: which secret of whom, and from which browser
	account      TEXT    NOT NULL,             -- '' for an address without an account
	failures     BIGINT  NOT NULL,             -- wrong guesses in a row
	paused_until BIGINT  NOT NULL,
	told         BOOLEAN NOT NULL,             -- its holder was told of it
	expires_at   BIGINT  NOT NULL
);

-- +goose Down
DROP TABLE IF EXISTS account_guess;
