-- +goose Up
CREATE UNIQUE INDEX IF NOT EXISTS tenant_invitation_token ON tenant_invitation (token);

-- +goose Down
DROP INDEX IF EXISTS tenant_invitation_token;
