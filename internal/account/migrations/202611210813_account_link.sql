-- +goose Up
CREATE TABLE IF NOT EXISTS account_link (
	digest      BYTEA  PRIMARY KEY, -- SHA-256 of the token
	kind        TEXT   NOT NULL,
	account     TEXT   NOT NULL,    -- whom it is for; '' when there is no account (yet)
	email_index BYTEA,              -- the address that was asked for
	payload     BYTEA,              -- sealed: what the person entered
	created_at  BIGINT NOT NULL,
	expires_at  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE IF EXISTS account_link;
