-- +goose Up
CREATE TABLE IF NOT EXISTS tenant_invitation (
	tenant        TEXT   NOT NULL,
	invitation    TEXT   NOT NULL,
	token         BYTEA  NOT NULL, -- SHA-256 of what stands in the link
	address_index BYTEA  NOT NULL, -- blind, the tenant's own; empty once ended
	address       BYTEA  NOT NULL, -- sealed; empty once ended
	role          TEXT   NOT NULL,
	inviter       TEXT   NOT NULL,
	created_at    BIGINT NOT NULL,
	sent_at       BIGINT NOT NULL,
	sent          BIGINT NOT NULL,
	expires_at    BIGINT NOT NULL,
	outcome       TEXT   NOT NULL, -- '': waits; accepted, revoked, expired
	ended_at      BIGINT NOT NULL,
	PRIMARY KEY (tenant, invitation)
);

-- +goose Down
DROP TABLE IF EXISTS tenant_invitation;
