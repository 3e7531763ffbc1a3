-- +goose Up
CREATE TABLE IF NOT EXISTS trust_run (
	claim        TEXT    NOT NULL,
	run          TEXT    NOT NULL, -- identifier, sorts by time
	check_name   TEXT    NOT NULL,
	claim_digest TEXT    NOT NULL, -- of what the claim said
	check_digest TEXT    NOT NULL, -- of the check's version, without the build
	origin       TEXT    NOT NULL, -- of the installation at the time
	passed       BOOLEAN NOT NULL,
	error        TEXT    NOT NULL, -- why it could not be exercised; '': it could
	started_at   BIGINT  NOT NULL,
	finished_at  BIGINT  NOT NULL,
	fresh_until  BIGINT  NOT NULL,
	evidence     TEXT    NOT NULL, -- SHA-256 of the envelope, hexadecimal
	log_index    BIGINT  NOT NULL, -- of the evidence; -1: not in the log yet
	PRIMARY KEY (claim, run)
);

-- +goose Down
DROP TABLE IF EXISTS trust_run;
