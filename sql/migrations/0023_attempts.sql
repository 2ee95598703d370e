-- Failed tries at what somebody should know, counted where the accounts are: one budget, however many processes ask, and
-- whatever becomes of Redis.

-- +goose Up
CREATE TABLE attempts (
  realm_id uuid NOT NULL DEFAULT current_realm(),
  -- a MAC of what is counted: the account, the client address, or the pair of both, each for one kind of secret
  counter text NOT NULL,
  failures bigint NOT NULL,
  -- the last failure, moved on by those that were forgotten since
  since timestamptz NOT NULL,
  -- no try before
  wait_until timestamptz NOT NULL,
  -- no failure counts from then on
  forget_at timestamptz NOT NULL,
  -- of a pair: until then the account's own delay does not matter here
  trusted_until timestamptz NOT NULL,
  -- the latest of the times, when the row may go
  ends_at timestamptz NOT NULL,
  PRIMARY KEY (realm_id, counter)
);
CREATE INDEX attempts_ends ON attempts (realm_id, ends_at);
CALL isolate('attempts', 'SELECT, INSERT, UPDATE, DELETE');
