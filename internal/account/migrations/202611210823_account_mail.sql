-- +goose Up
CREATE TABLE IF NOT EXISTS account_mail (
	digest      BYTEA  PRIMARY KEY, -- of the link that was asked for
	email_index BYTEA  NOT NULL,    -- the address that was asked for
	purpose     TEXT   NOT NULL,    -- sign-up | reset
	network     BYTEA  NOT NULL,    -- blind index of the network that asked
	asked_at    BIGINT NOT NULL
);

-- +goose Down
DROP TABLE IF EXISTS account_mail;
