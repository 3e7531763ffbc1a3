-- +goose Up
CREATE INDEX IF NOT EXISTS account_exposed_told ON account_exposed (told_at, found_at);

-- +goose Down
DROP INDEX IF EXISTS account_exposed_told;
