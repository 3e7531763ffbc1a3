-- +goose Up
CREATE INDEX IF NOT EXISTS tenant_person_owner ON tenant_person (tenant) WHERE role = 'owner';

-- +goose Down
DROP INDEX IF EXISTS tenant_person_owner;
