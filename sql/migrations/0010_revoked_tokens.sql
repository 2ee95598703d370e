-- Access tokens that were revoked one by one. Tokens of a revoked authorization are not in here: they die with it.

-- +goose Up
CREATE TABLE revoked_tokens (
  realm_id uuid NOT NULL DEFAULT current_realm(),
  jti text NOT NULL,
  -- when the token would have ended by itself, and the row may go
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (realm_id, jti)
);
CREATE INDEX revoked_tokens_expires ON revoked_tokens (realm_id, expires_at);
CALL isolate('revoked_tokens', 'SELECT, INSERT, DELETE');
CALL audit('revoked_tokens');
