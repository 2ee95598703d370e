-- Messages to people: what is to be sent, how often it was tried, and how it ended.

-- +goose Up
-- The change that a message belongs to has its event, and giving up records delivery.failed: not audited
-- (sql/unaudited.txt). Without a foreign key to users: a message to an address that nobody has is written exactly as
-- one to an address that somebody has (LG-08), and checking the key would tell them apart. Whoever deletes a person
-- deletes these (notify.Forget).
CREATE TABLE deliveries (
  realm_id uuid NOT NULL DEFAULT current_realm(),
  id uuid NOT NULL,
  template text NOT NULL,
  -- NULL when nobody has the address
  user_id uuid,
  -- the language wished, '' for the person's or the realm's
  locale text NOT NULL,
  -- written like any other, never sent
  suppressed boolean NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent', 'failed', 'expired', 'suppressed')),
  -- the address and what the message says, sealed by the realm's data key
  content bytea NOT NULL,
  -- codes and links, sealed; only while they may still be sent
  secrets bytea,
  attempts integer NOT NULL DEFAULT 0,
  -- why the last attempt failed, one of few codes; '' when none did
  failure text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL,
  -- the next attempt, or the end of the one under way
  next_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  ended_at timestamptz,
  PRIMARY KEY (realm_id, id),
  CHECK ((status = 'pending') = (ended_at IS NULL)),
  CHECK (status = 'pending' OR secrets IS NULL)
) WITH (fillfactor = 70);
CREATE INDEX deliveries_user ON deliveries (realm_id, user_id, created_at);
CREATE INDEX deliveries_status ON deliveries (realm_id, status, expires_at);
CREATE INDEX deliveries_created ON deliveries (realm_id, created_at);
CALL isolate('deliveries', 'SELECT, INSERT, UPDATE, DELETE');
