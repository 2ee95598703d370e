-- Authorizations: one row is one issued code and everything that comes of it.

-- +goose Up
-- Written at every login, so without foreign keys to realms and clients.
CREATE TABLE grants (
  realm_id uuid NOT NULL DEFAULT current_realm(),
  id uuid NOT NULL,
  client_id text NOT NULL,
  user_id uuid NOT NULL,
  session_id uuid NOT NULL,
  scopes text[] NOT NULL,
  audience text[] NOT NULL,
  -- what the token endpoint needs of the authorization request: redirect_uri, nonce, PKCE challenge, claims
  request jsonb NOT NULL,
  auth_time timestamptz NOT NULL,
  amr text[] NOT NULL,
  acr text NOT NULL,
  created_at timestamptz NOT NULL,
  code_hash bytea NOT NULL,
  code_expires_at timestamptz NOT NULL,
  code_used_at timestamptz,
  ends_at timestamptz NOT NULL,
  revoked_at timestamptz,
  PRIMARY KEY (realm_id, id),
  FOREIGN KEY (realm_id, user_id) REFERENCES users ON DELETE CASCADE
) WITH (fillfactor = 70);
CREATE INDEX grants_user ON grants (realm_id, user_id);
CREATE INDEX grants_session ON grants (realm_id, session_id);
CALL isolate('grants', 'SELECT, INSERT, UPDATE, DELETE');
-- Issuing a code is a metric and a log line; its use, its revocation and its deletion are events.
CALL audit('grants', 'DELETE OR UPDATE OF code_used_at, revoked_at');
