-- +goose Up
ALTER TABLE account_cost ADD COLUMN scheme TEXT NOT NULL DEFAULT 'argon2id';

-- +goose Down
ALTER TABLE account_cost DROP COLUMN scheme;
