-- +goose Up
CREATE INDEX IF NOT EXISTS factor_pending ON factor (created_at) WHERE confirmed_at = 0;

-- +goose Down
DROP INDEX IF EXISTS factor_pending;
