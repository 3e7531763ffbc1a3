-- +goose Up
CREATE INDEX IF NOT EXISTS tenant_founder ON tenant (founder, kind);

-- +goose Down
DROP INDEX IF EXISTS tenant_founder;
