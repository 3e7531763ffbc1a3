-- +goose Up
CREATE INDEX IF NOT EXISTS tenant_unshredded ON tenant (tenant) WHERE destroyed_at > 0 AND shredded_at = 0;

-- +goose Down
DROP INDEX IF EXISTS tenant_unshredded;
