-- +goose Up
CREATE INDEX IF NOT EXISTS account_pair_kind ON account_pair (kind, added_at);

-- +goose Down
DROP INDEX IF EXISTS account_pair_kind;
