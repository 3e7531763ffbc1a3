-- +goose Up
CREATE TABLE IF NOT EXISTS breach_own (
	digest     BYTEA  PRIMARY KEY, -- blind index of the password: it can be compared, and not read
	added_at   BIGINT NOT NULL,
	expires_at BIGINT NOT NULL     -- 0: never
);

-- +goose Down
DROP TABLE IF EXISTS breach_own;
