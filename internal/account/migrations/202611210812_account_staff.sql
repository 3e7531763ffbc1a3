-- +goose Up
CREATE INDEX IF NOT EXISTS account_staff ON account (staff, account) WHERE staff <> '';

-- +goose Down
DROP INDEX IF EXISTS account_staff;
