-- +goose Up
CREATE TABLE IF NOT EXISTS account_pending (
	digest      BYTEA  PRIMARY KEY, -- SHA-256 of the token that the browser holds
	account     TEXT   NOT NULL,
	password_at BIGINT NOT NULL,    -- of the password that was compared
	amr         TEXT   NOT NULL,    -- what was proven so far; RFC 8176, by spaces
	renew       TEXT   NOT NULL,    -- why another password is needed, or ''
	device      BYTEA  NOT NULL,    -- SHA-256 of the device token of the browser
	wrong       BIGINT NOT NULL,    -- wrong answers
	expires_at  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE IF EXISTS account_pending;
