-- +goose Up
-- One row is one piece of work. A periodic job has one row for ever, whose
-- unique_key is the scheduled time it stands for; work of a queue is deleted
-- once it is done. due_at is when it was first to be done, not_before when it
-- may next be tried.
CREATE TABLE IF NOT EXISTS job (
	id           TEXT    NOT NULL PRIMARY KEY,
	queue        TEXT    NOT NULL,
	unique_key   TEXT    NOT NULL,
	payload      BYTEA   NOT NULL,
	not_before   BIGINT  NOT NULL,
	leased_until BIGINT  NOT NULL,
	leased_by    TEXT    NOT NULL,
	attempts     BIGINT  NOT NULL,
	given_up     BOOLEAN NOT NULL,
	last_error   TEXT    NOT NULL,
	succeeded_at BIGINT  NOT NULL,
	due_at       BIGINT  NOT NULL,
	UNIQUE (queue, unique_key)
);

CREATE INDEX IF NOT EXISTS job_due ON job (given_up, not_before);
