-- +goose Up
CREATE INDEX IF NOT EXISTS factor_code_sent ON factor_code (sent_at);

-- +goose Down
DROP INDEX IF EXISTS factor_code_sent;
