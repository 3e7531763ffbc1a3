-- +goose Up
CREATE TABLE IF NOT EXISTS mail_outbox (
	tenant    TEXT   NOT NULL,
	id        TEXT   NOT NULL,
	account   TEXT   NOT NULL,
	kind      TEXT   NOT NULL,
	sealed    BYTEA  NOT NULL,
	attempts  BIGINT NOT NULL,
	queued_at BIGINT NOT NULL,
	PRIMARY KEY (tenant, id)
);

-- +goose Down
DROP TABLE mail_outbox;
