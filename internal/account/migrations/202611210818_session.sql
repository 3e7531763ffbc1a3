-- +goose Up
CREATE TABLE IF NOT EXISTS session (
	session    TEXT   PRIMARY KEY,
	account    TEXT   NOT NULL,
	tenant     TEXT   NOT NULL, -- the current one
	digest     BYTEA  NOT NULL, -- SHA-256 of the token
	amr        TEXT   NOT NULL, -- RFC 8176, by spaces
	place      BYTEA,           -- sealed under the subject's key: address and agent at sign-in
	auth_at    BIGINT NOT NULL,
	seen_at    BIGINT NOT NULL,
	idle       BIGINT NOT NULL, -- microseconds
	expires_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE IF EXISTS session;
