-- +goose Up
ALTER TABLE account ADD COLUMN guess_delay BIGINT NOT NULL DEFAULT 0; -- the first pause, in microseconds

-- +goose Down
ALTER TABLE account DROP COLUMN guess_delay;
