-- +goose Up
CREATE TABLE IF NOT EXISTS account_recovery (
	recovery    TEXT   PRIMARY KEY,
	account     TEXT   NOT NULL,
	kind        TEXT   NOT NULL, -- own | staff
	reason      BYTEA,           -- of staff, sealed
	opened_by   TEXT   NOT NULL, -- the account of who asked for it
	approved_by TEXT   NOT NULL, -- '' until another member of staff approved
	asked_at    BIGINT NOT NULL,
	due_at      BIGINT NOT NULL, -- from then on it can be finished; 0: not approved
	noticed_at  BIGINT NOT NULL, -- when the holder was last told
	ready_at    BIGINT NOT NULL, -- when the link was mailed with which it is finished; 0: not yet
	expires_at  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE IF EXISTS account_recovery;
