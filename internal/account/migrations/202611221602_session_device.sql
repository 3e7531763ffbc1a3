-- +goose Up
ALTER TABLE session ADD COLUMN device TEXT NOT NULL DEFAULT ''; -- the browser, in account_device

-- +goose Down
ALTER TABLE session DROP COLUMN device;
