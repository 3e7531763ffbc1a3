-- +goose Up
CREATE TABLE IF NOT EXISTS sms_outbox (
	tenant    TEXT   NOT NULL,
	id        TEXT   NOT NULL,
	account   TEXT   NOT NULL,
	kind      TEXT   NOT NULL,
	sealed    BYTEA  NOT NULL,
	attempts  BIGINT NOT NULL,
	queued_at BIGINT NOT NULL,
	until     BIGINT NOT NULL, -- when it is of no use any more
	PRIMARY KEY (tenant, id)
);

-- +goose Down
DROP TABLE IF EXISTS sms_outbox;
