-- +goose Up
CREATE UNIQUE INDEX IF NOT EXISTS tenant_invitation_pending ON tenant_invitation (tenant, address_index) WHERE outcome = '';

-- +goose Down
DROP INDEX IF EXISTS tenant_invitation_pending;
