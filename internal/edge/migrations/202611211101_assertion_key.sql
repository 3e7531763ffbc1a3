-- +goose Up
CREATE TABLE IF NOT EXISTS edge_assertion_key (
	kid        TEXT   NOT NULL PRIMARY KEY,
	created_at BIGINT NOT NULL,
	use_at     BIGINT NOT NULL,
	end_at     BIGINT
);

-- +goose Down
DROP TABLE IF EXISTS edge_assertion_key;
