-- +goose Up
CREATE INDEX IF NOT EXISTS throttle_until ON throttle_state (until);

-- +goose Down
DROP INDEX IF EXISTS throttle_until;
