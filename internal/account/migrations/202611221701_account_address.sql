-- +goose Up
CREATE TABLE IF NOT EXISTS account_address (
	account     TEXT   PRIMARY KEY, -- one change of address at a time
	email       BYTEA  NOT NULL,    -- the new one, sealed as in account
	email_index BYTEA  NOT NULL,
	asked_at    BIGINT NOT NULL,
	new_at      BIGINT NOT NULL,    -- when whoever holds the new mailbox agreed; 0: not yet
	old_at      BIGINT NOT NULL,    -- the old one
	due_at      BIGINT NOT NULL,    -- when silence of the old mailbox is enough; 0: never
	noticed_at  BIGINT NOT NULL,    -- when the old mailbox was last told
	expires_at  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE IF EXISTS account_address;
