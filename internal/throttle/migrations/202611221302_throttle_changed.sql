-- +goose Up
CREATE INDEX IF NOT EXISTS throttle_changed ON throttle_state (changed_at);

-- +goose Down
DROP INDEX IF EXISTS throttle_changed;
