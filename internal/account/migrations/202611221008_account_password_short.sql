-- +goose Up
ALTER TABLE account ADD COLUMN password_short BOOLEAN NOT NULL DEFAULT FALSE; -- below the length for a password that is the only factor

-- +goose Down
ALTER TABLE account DROP COLUMN password_short;
