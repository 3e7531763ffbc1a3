-- +goose Up
ALTER TABLE tenant ADD COLUMN plan TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE tenant DROP COLUMN plan;
