-- Sessions of browsers.

-- +goose Up
-- Written at every login, so without a foreign key to realms: a shared row per commit would cost multixacts.
CREATE TABLE sessions (
  realm_id uuid NOT NULL DEFAULT current_realm(),
  id uuid NOT NULL,
  -- SHA-256 of the cookie's value
  token_hash bytea NOT NULL,
  user_id uuid NOT NULL,
  auth_time timestamptz NOT NULL,
  amr text[] NOT NULL,
  acr text NOT NULL,
  -- "Keep me signed in"
  persistent boolean NOT NULL,
  created_at timestamptz NOT NULL,
  seen_at timestamptz NOT NULL,
  -- both ends are fixed when the session is made, so that a changed setting never revives a dead one
  idle_seconds integer NOT NULL CHECK (idle_seconds > 0),
  ends_at timestamptz NOT NULL,
  ended_at timestamptz,
  PRIMARY KEY (realm_id, id),
  UNIQUE (realm_id, token_hash),
  FOREIGN KEY (realm_id, user_id) REFERENCES users ON DELETE CASCADE
) WITH (fillfactor = 80);
CREATE INDEX sessions_user ON sessions (realm_id, user_id);
CREATE INDEX sessions_ends ON sessions (realm_id, ends_at);
CALL isolate('sessions', 'SELECT, INSERT, UPDATE, DELETE');
-- seen_at is written in batches and means nothing to an auditor.
CALL audit('sessions', 'INSERT OR DELETE OR UPDATE OF token_hash, auth_time, ended_at');
