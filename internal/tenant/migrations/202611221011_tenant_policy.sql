-- +goose Up
CREATE TABLE IF NOT EXISTS tenant_policy (
	tenant      TEXT    PRIMARY KEY,
	factor_from BIGINT  NOT NULL, -- from when on a second factor is needed
	forgets     BOOLEAN NOT NULL, -- one that was used in that browser earlier does not do
	set_at      BIGINT  NOT NULL
);

-- +goose Down
DROP TABLE IF EXISTS tenant_policy;
