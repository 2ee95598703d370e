-- Secrets that are sent to somebody to be shown back: links and codes of registration, verification, recovery,
-- invitation and sign-in. And what a flow needs to wait for them.

-- +goose Up
-- Without a foreign key to users: checking it would tell known addresses from unknown ones. Whoever deletes a person
-- deletes these.
CREATE TABLE challenges (
  realm_id uuid NOT NULL DEFAULT current_realm(),
  id uuid NOT NULL,
  purpose text NOT NULL CHECK (purpose IN ('verify', 'reset', 'invite', 'signin')),
  -- whose it is; NULL while there is no account, and where nobody has the address: such a one is like all others and
  -- never succeeds
  user_id uuid,
  -- where it was sent: what showing it back proves
  address text NOT NULL,
  -- what the person typed, which may be another name of theirs: all that the page may show of it
  shown text NOT NULL DEFAULT '',
  -- the mail that it went out with
  template text NOT NULL,
  -- what becomes of it, sealed: the account that a registration asks for
  payload bytea,
  -- SHA-256 of realm, purpose and the link's token
  token_hash bytea NOT NULL,
  -- MAC of realm, purpose, row and code; NULL where there is none that would do
  code_mac bytea,
  -- the flow that it was asked for in, whose browser alone may type the code; '' without one
  tx text NOT NULL DEFAULT '',
  tries integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL,
  code_expires_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  -- used, replaced by a newer one or given up
  ended_at timestamptz,
  PRIMARY KEY (realm_id, id),
  UNIQUE (realm_id, token_hash)
);
CREATE INDEX challenges_user ON challenges (realm_id, user_id);
-- a flow waits for one at a time
CREATE UNIQUE INDEX challenges_tx ON challenges (realm_id, tx) WHERE tx <> '' AND ended_at IS NULL;
CREATE INDEX challenges_ends ON challenges (realm_id, expires_at);
CALL isolate('challenges', 'SELECT, INSERT, UPDATE, DELETE');
CALL audit('challenges');

-- 'mailed' flows begin with a link in a mail, or at an address of ours, instead of an authorization request.
ALTER TABLE flows DROP CONSTRAINT flows_kind_check;
ALTER TABLE flows ADD CONSTRAINT flows_kind_check CHECK (kind IN ('authorize', 'logout', 'mailed'));
-- who showed a mailed secret back in this flow, and what it lets them do
ALTER TABLE flows ADD COLUMN redeemed_user_id uuid, ADD COLUMN redeemed_purpose text NOT NULL DEFAULT '',
  -- a message key that the next page shows
  ADD COLUMN notice text NOT NULL DEFAULT '';
