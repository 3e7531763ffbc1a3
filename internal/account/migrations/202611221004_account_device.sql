-- +goose Up
CREATE TABLE IF NOT EXISTS account_device (
	device           TEXT   PRIMARY KEY,
	account          TEXT   NOT NULL,
	digest           BYTEA  NOT NULL, -- SHA-256 of the token; one browser, several accounts
	place            BYTEA,           -- sealed under the subject's key: address and agent at the last sign-in
	created_at       BIGINT NOT NULL,
	seen_at          BIGINT NOT NULL,
	remembered_until BIGINT NOT NULL  -- 0: a second factor is asked for each time
);

-- +goose Down
DROP TABLE IF EXISTS account_device;
