-- The ids of assertions that clients have proved themselves with, so that none counts twice (RFC 7523 §3).

-- +goose Up
CREATE TABLE used_assertions (
  realm_id uuid NOT NULL DEFAULT current_realm(),
  client_id text NOT NULL,
  jti text NOT NULL,
  -- when the assertion would not be accepted any more, and the row may go
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (realm_id, client_id, jti)
);
CREATE INDEX used_assertions_expires ON used_assertions (realm_id, expires_at);
CALL isolate('used_assertions', 'SELECT, INSERT, DELETE');
