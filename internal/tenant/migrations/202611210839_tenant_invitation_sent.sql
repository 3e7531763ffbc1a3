-- +goose Up
CREATE INDEX IF NOT EXISTS tenant_invitation_sent ON tenant_invitation (tenant, sent_at);

-- +goose Down
DROP INDEX IF EXISTS tenant_invitation_sent;
