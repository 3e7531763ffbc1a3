-- +goose Up
CREATE TABLE IF NOT EXISTS account (
	account      TEXT   PRIMARY KEY,
	home         TEXT   NOT NULL, -- the personal tenant
	state        TEXT   NOT NULL, -- active | destroying | destroyed
	staff        TEXT   NOT NULL, -- '' | owner
	email        BYTEA,           -- sealed under the subject's and the home's key, as is name
	name         BYTEA,
	email_index  BYTEA,           -- the global blind index, by which people sign in
	password     TEXT,            -- PHC string
	created_at   BIGINT NOT NULL,
	confirmed_at BIGINT NOT NULL, -- 0: the address was not confirmed
	password_at  BIGINT NOT NULL,
	idle         BIGINT NOT NULL, -- microseconds; 0: as the installation's sessions
	absolute     BIGINT NOT NULL
);

-- +goose Down
DROP TABLE IF EXISTS account;
