-- How often an administrator had the failed attempts of an account forgotten. Counters live in memory, here and in other
-- processes, or in Redis, under names that nobody could list: this is part of their name, so that new ones begin.
-- Adding a column with a constant default rewrites nothing.

-- +goose Up
ALTER TABLE users ADD COLUMN forgiven integer NOT NULL DEFAULT 0;
