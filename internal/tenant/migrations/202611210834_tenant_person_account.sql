-- +goose Up
CREATE INDEX IF NOT EXISTS tenant_person_account ON tenant_person (account, tenant);

-- +goose Down
DROP INDEX IF EXISTS tenant_person_account;
