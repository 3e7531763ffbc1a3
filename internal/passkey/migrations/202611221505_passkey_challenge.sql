-- +goose Up
CREATE TABLE IF NOT EXISTS passkey_challenge (
	digest     BYTEA  PRIMARY KEY, -- SHA-256 of the challenge
	purpose    TEXT   NOT NULL,    -- sign-in | answer | register
	account    TEXT   NOT NULL,    -- '': whoever the passkey belongs to
	binding    BYTEA  NOT NULL,    -- SHA-256 of what names the browser
	ceremony   BYTEA  NOT NULL,    -- what was asked for
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE IF EXISTS passkey_challenge;
