-- +goose Up
ALTER TABLE account ADD COLUMN guess_free BIGINT NOT NULL DEFAULT 0; -- wrong guesses without a pause; 0 is as configured

-- +goose Down
ALTER TABLE account DROP COLUMN guess_free;
