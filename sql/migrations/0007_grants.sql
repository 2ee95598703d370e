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
  -- the generation of the one live refresh token; 0 when the authorization has none
  generation integer NOT NULL DEFAULT 0,
  rotated_at timestamptz,
  -- HMAC of address and user agent of the last use: a use from elsewhere is an event
  used_from bytea,
  -- a refresh token ends when it is not used until idle_at, and at ends_at whatever happens
  idle_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  -- offline_access: it outlives the session it was given in
  offline boolean NOT NULL,
  revoked_at timestamptz,
  PRIMARY KEY (realm_id, id),
  FOREIGN KEY (realm_id, user_id) REFERENCES users ON DELETE CASCADE
) WITH (fillfactor = 70);
CREATE INDEX grants_user ON grants (realm_id, user_id);
CREATE INDEX grants_session ON grants (realm_id, session_id);
CREATE INDEX grants_ends ON grants (realm_id, ends_at);
CALL isolate('grants', 'SELECT, INSERT, UPDATE, DELETE');
-- Issuing a code is a metric and a log line; its use, its revocation and its deletion are events.
CALL audit('grants', 'DELETE OR UPDATE OF code_used_at, revoked_at');
