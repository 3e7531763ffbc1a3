-- +goose Up
CREATE TABLE IF NOT EXISTS throttle_state (
	limiter    TEXT   NOT NULL, -- the name of the limiter
	digest     BYTEA  NOT NULL, -- keyed digest of who spent
	until      BIGINT NOT NULL, -- when all that was spent is given back
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (limiter, digest)
);

-- +goose Down
DROP TABLE IF EXISTS throttle_state;
