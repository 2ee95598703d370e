-- The foreign key of grants locks the person's row already, which is all that this function did.

-- +goose Up
DROP FUNCTION hold_session(uuid, uuid, timestamptz);
