-- Authentication flows: what a browser is in the middle of.

-- +goose Up
-- Progress that lapses within a day and is visible to nobody else: not audited (sql/unaudited.txt).
CREATE TABLE flows (
  realm_id uuid NOT NULL DEFAULT current_realm(),
  -- SHA-256 of ?tx=
  tx_hash bytea NOT NULL,
  kind text NOT NULL CHECK (kind IN ('authorize', 'logout')),
  -- empty for a logout, whose request names the client or does not
  client_id text NOT NULL DEFAULT '',
  -- SHA-256 of the cookie of the browser that started it; NULL until the first GET binds it
  browser_hash bytea,
  -- the request as it came, form-encoded
  request text NOT NULL,
  -- the sub of its id_token_hint, verified when it came: who is expected to sign in
  hint_subject text NOT NULL DEFAULT '',
  -- account chooser: whose session the person wants to go on with, or that they want another account
  chosen_user_id uuid,
  another boolean NOT NULL DEFAULT false,
  -- a proof of identity, kept until a session is made of it
  user_id uuid,
  auth_time timestamptz,
  amr text[] NOT NULL DEFAULT '{}',
  persistent boolean NOT NULL DEFAULT false,
  -- consent: who decided in this flow, and what they allowed; no scopes is a refusal
  decided_user_id uuid,
  decided_scopes text[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL,
  -- progress lapses at expires_at; the request stays until ends_at so that an old page starts again by itself
  expires_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  completed_at timestamptz,
  PRIMARY KEY (realm_id, tx_hash)
) WITH (fillfactor = 70);
CREATE INDEX flows_browser ON flows (realm_id, browser_hash);
CREATE INDEX flows_ends ON flows (realm_id, ends_at);
CALL isolate('flows', 'SELECT, INSERT, UPDATE, DELETE');
