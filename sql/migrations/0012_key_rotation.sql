-- Keys rotate: when each came into its state, and one successor at a time.

-- +goose Up
ALTER TABLE keys ADD COLUMN since timestamptz NOT NULL DEFAULT now();
ALTER TABLE keys ALTER COLUMN since DROP DEFAULT;
CREATE UNIQUE INDEX keys_next ON keys (realm_id, alg) WHERE state = 'next';
