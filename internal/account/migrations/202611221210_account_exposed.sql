-- +goose Up
CREATE TABLE IF NOT EXISTS account_exposed (
	account     TEXT   PRIMARY KEY,
	password_at BIGINT NOT NULL, -- of the password that was found: a newer one is another one
	how         TEXT   NOT NULL, -- list | pair
	found_at    BIGINT NOT NULL,
	told_at     BIGINT NOT NULL  -- when those who watch were told; 0: not yet
);

-- +goose Down
DROP TABLE IF EXISTS account_exposed;
