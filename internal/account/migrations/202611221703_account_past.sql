-- +goose Up
CREATE TABLE IF NOT EXISTS account_past (
	account     TEXT   NOT NULL,
	email_index BYTEA  NOT NULL,
	email       BYTEA  NOT NULL, -- an address that the account had, sealed
	expires_at  BIGINT NOT NULL, -- until then it is told what happens to the account
	PRIMARY KEY (account, email_index)
);

-- +goose Down
DROP TABLE IF EXISTS account_past;
