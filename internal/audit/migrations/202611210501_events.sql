-- +goose Up

-- One row an event: what is needed to list it. What happened stands sealed in
-- the month's table, audit_payload_CLASS_YYYYMM.
-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS audit_event (
    tenant      TEXT   NOT NULL,
    event       TEXT   NOT NULL,
    type        TEXT   NOT NULL,
    class       TEXT   NOT NULL,
    occurred_at BIGINT NOT NULL,
    actor       TEXT   NOT NULL, -- account, or empty
    PRIMARY KEY (tenant, event)
);
-- +goose StatementEnd

-- Whom an event is about, actor or target, across tenants: a person's own activity.
-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS audit_person (
    account TEXT NOT NULL,
    event   TEXT NOT NULL,
    tenant  TEXT NOT NULL,
    PRIMARY KEY (account, event)
);
-- +goose StatementEnd

-- Leaves and evidence that wait for the sequencer. The row's name is the event,
-- or the digest of the evidence.
-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS audit_pending (
    name  TEXT  NOT NULL PRIMARY KEY,
    tree  TEXT  NOT NULL,
    entry BYTEA NOT NULL
);
-- +goose StatementEnd

-- The month tables that exist.
-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS audit_month (
    class      TEXT   NOT NULL,
    month      TEXT   NOT NULL, -- YYYYMM, UTC
    created_at BIGINT NOT NULL,
    PRIMARY KEY (class, month)
);
-- +goose StatementEnd
