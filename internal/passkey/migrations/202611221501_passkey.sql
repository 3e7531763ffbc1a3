-- +goose Up
CREATE TABLE IF NOT EXISTS passkey (
	passkey     TEXT    PRIMARY KEY,
	account     TEXT    NOT NULL,
	home        TEXT    NOT NULL, -- the personal tenant of the account
	digest      BYTEA   NOT NULL, -- SHA-256 of the credential's identifier
	credential  BYTEA   NOT NULL, -- the identifier
	public_key  BYTEA   NOT NULL, -- COSE_Key (RFC 9052)
	counter     BIGINT  NOT NULL, -- of signatures
	eligible    BOOLEAN NOT NULL, -- BE: it can be synchronised
	backed_up   BOOLEAN NOT NULL, -- BS: it is
	aaguid      BYTEA   NOT NULL, -- the model
	attachment  TEXT    NOT NULL, -- platform | cross-platform | ''
	transports  TEXT    NOT NULL, -- by spaces
	format      TEXT    NOT NULL, -- of the attestation statement
	attestation TEXT    NOT NULL, -- its type
	attested    BOOLEAN NOT NULL, -- it was checked against the configured roots
	statement   BYTEA,            -- the attestation object, where it was asked for
	name        BYTEA   NOT NULL, -- sealed
	created_at  BIGINT  NOT NULL,
	used_at     BIGINT  NOT NULL, -- 0: never
	stopped_at  BIGINT  NOT NULL  -- 0: it works; otherwise its counter went back then
);

-- +goose Down
DROP TABLE IF EXISTS passkey;
