-- +goose Up
CREATE TABLE IF NOT EXISTS account_cost (
	calibrated_at BIGINT PRIMARY KEY,
	memory        BIGINT NOT NULL, -- KiB
	passes        BIGINT NOT NULL,
	lanes         BIGINT NOT NULL,
	target        BIGINT NOT NULL, -- microseconds that were aimed at
	took          BIGINT NOT NULL  -- microseconds that were measured
);

-- +goose Down
DROP TABLE IF EXISTS account_cost;
