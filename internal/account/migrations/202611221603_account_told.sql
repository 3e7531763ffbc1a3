-- +goose Up
CREATE TABLE IF NOT EXISTS account_told (
	account TEXT   PRIMARY KEY,
	what    TEXT   NOT NULL, -- what its holder is told at the next sign-in: raised
	told_at BIGINT NOT NULL  -- when it happened
);

-- +goose Down
DROP TABLE IF EXISTS account_told;
