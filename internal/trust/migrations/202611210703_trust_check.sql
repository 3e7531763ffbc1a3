-- +goose Up
CREATE TABLE IF NOT EXISTS trust_check (
	check_name    TEXT   NOT NULL PRIMARY KEY,
	claim         TEXT   NOT NULL,
	registered_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE IF EXISTS trust_check;
