-- +goose Up
CREATE INDEX IF NOT EXISTS trust_run_unsettled ON trust_run (claim, run) WHERE log_index < 0;

-- +goose Down
DROP INDEX IF EXISTS trust_run_unsettled;
