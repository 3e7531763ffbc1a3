-- +goose Up
CREATE TABLE IF NOT EXISTS account_pair (
	digest   BYTEA  PRIMARY KEY, -- blind index of the account and what was found with its address
	account  TEXT   NOT NULL,
	kind     TEXT   NOT NULL,    -- text: compared by a job | hash, bcrypt: compared at the next sign-in
	sealed   BYTEA,              -- under the subject's and the home's key; nothing for hash
	added_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE IF EXISTS account_pair;
