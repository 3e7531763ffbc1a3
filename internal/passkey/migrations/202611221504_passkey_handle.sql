-- +goose Up
CREATE TABLE IF NOT EXISTS passkey_handle (
	account TEXT  PRIMARY KEY,
	handle  BYTEA NOT NULL -- 64 random bytes: what devices know the account by
);

-- +goose Down
DROP TABLE IF EXISTS passkey_handle;
