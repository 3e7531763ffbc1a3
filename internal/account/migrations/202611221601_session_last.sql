-- +goose Up
ALTER TABLE session ADD COLUMN last BYTEA; -- sealed under the subject's key: the address of the last use

-- +goose Down
ALTER TABLE session DROP COLUMN last;
