-- +goose Up
CREATE INDEX IF NOT EXISTS tenant_invitation_inviter ON tenant_invitation (inviter, sent_at);

-- +goose Down
DROP INDEX IF EXISTS tenant_invitation_inviter;
