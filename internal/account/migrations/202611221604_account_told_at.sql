-- +goose Up
CREATE INDEX IF NOT EXISTS account_told_at ON account_told (told_at);

-- +goose Down
DROP INDEX IF EXISTS account_told_at;
