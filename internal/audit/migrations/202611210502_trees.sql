-- +goose Up

-- The head of each tree: of every tenant, and of the platform log (tree 'log').
-- edge holds the roots of the complete subtrees that the size is made of, left
-- to right: all that is needed to append.
-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS log_head (
    tree   TEXT   NOT NULL PRIMARY KEY,
    size   BIGINT NOT NULL,
    root   BYTEA  NOT NULL,
    edge   BYTEA  NOT NULL,
    turn   BIGINT NOT NULL, -- of the platform log: how often a sequencer took the lock
    epoch  BIGINT NOT NULL, -- of the platform log
    origin TEXT   NOT NULL  -- of the platform log
);
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS log_leaf (
    tree  TEXT   NOT NULL,
    idx   BIGINT NOT NULL,
    name  TEXT   NOT NULL, -- event, or digest of evidence, or empty
    entry BYTEA  NOT NULL,
    PRIMARY KEY (tree, idx)
);
-- +goose StatementEnd

-- +goose StatementBegin
CREATE INDEX IF NOT EXISTS log_leaf_name ON log_leaf (name) WHERE name <> '';
-- +goose StatementEnd

-- Full tiles only. The root stands before the hashes, so that it can be read
-- without them.
-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS log_tile (
    tree   TEXT   NOT NULL,
    level  BIGINT NOT NULL,
    n      BIGINT NOT NULL,
    root   BYTEA  NOT NULL,
    hashes BYTEA  NOT NULL,
    PRIMARY KEY (tree, level, n)
);
-- +goose StatementEnd

-- Of a tenant's tree: the salt of the commitment and the entry of the platform
-- log that it became. Of the platform log: the signed checkpoint.
-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS log_checkpoint (
    tree       TEXT   NOT NULL,
    size       BIGINT NOT NULL,
    root       BYTEA  NOT NULL,
    salt       BYTEA  NOT NULL,
    entry      BIGINT NOT NULL,
    note       BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tree, size)
);
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS log_evidence (
    digest     TEXT   NOT NULL PRIMARY KEY,
    envelope   BYTEA  NOT NULL,
    created_at BIGINT NOT NULL
);
-- +goose StatementEnd
