-- The event log: append-only, written in the transaction of the change, read in commit order.

-- +goose Up
CREATE TABLE events (
  realm_id uuid NOT NULL DEFAULT current_realm(),
  seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  id uuid NOT NULL,
  -- the writing transaction: consumers read below the oldest running one, so in commit order and without gaps
  xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
  type text NOT NULL,
  at timestamptz NOT NULL,
  actor_kind text NOT NULL CHECK (actor_kind IN ('anonymous', 'user', 'client', 'operator', 'system')),
  actor text NOT NULL DEFAULT '',
  user_id uuid,
  client_id text,
  session_id uuid,
  object text NOT NULL DEFAULT '',
  request_id text NOT NULL DEFAULT '',
  trace_id text NOT NULL DEFAULT '',
  data jsonb NOT NULL DEFAULT '{}',
  -- SHA-256 over salt and personal fields: the log stays provable after the fields were erased
  personal_digest bytea,
  PRIMARY KEY (realm_id, id)
);
CREATE INDEX events_user ON events (realm_id, user_id, seq);
-- The one index that does not lead by realm: consumers read all realms in commit order.
CREATE INDEX events_commit_order ON events (xact, seq);
CALL isolate('events', 'SELECT, INSERT');
CREATE POLICY global ON events FOR SELECT TO gatehouse_global USING (true);
GRANT SELECT ON events TO gatehouse_global;

-- Personal fields of an event (address, user agent, identifier tried), sealed by the realm's data key and
-- searchable by HMAC. Erasure deletes these rows; the event itself stays.
CREATE TABLE event_personal (
  realm_id uuid NOT NULL DEFAULT current_realm(),
  event_id uuid NOT NULL,
  user_id uuid,
  at timestamptz NOT NULL,
  sealed bytea NOT NULL,
  address_mac bytea,
  identifier_mac bytea,
  PRIMARY KEY (realm_id, event_id)
);
CREATE INDEX event_personal_user ON event_personal (realm_id, user_id);
CREATE INDEX event_personal_address ON event_personal (realm_id, address_mac, at);
CREATE INDEX event_personal_identifier ON event_personal (realm_id, identifier_mac, at) WHERE identifier_mac IS NOT NULL;
CALL isolate('event_personal', 'SELECT, INSERT, DELETE');

-- Where each consumer stands. One process at a time holds a consumer's row.
CREATE TABLE consumer_cursors (
  name text PRIMARY KEY,
  xact xid8 NOT NULL DEFAULT '0',
  seq bigint NOT NULL DEFAULT 0,
  moved_at timestamptz NOT NULL
);
ALTER TABLE consumer_cursors ENABLE ROW LEVEL SECURITY;
ALTER TABLE consumer_cursors FORCE ROW LEVEL SECURITY;
CREATE POLICY global ON consumer_cursors TO gatehouse_global USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON consumer_cursors TO gatehouse_global;

-- record_event writes the event that package event prepared, and notes in the transaction that it did. It
-- answers true, so that a statement can end in SELECT record_event(…) FROM what_it_changed: no row, no event.
-- +goose StatementBegin
CREATE FUNCTION record_event(e jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO events (id, type, at, actor_kind, actor, user_id, client_id, session_id, object, request_id, trace_id, data, personal_digest)
  VALUES ((e->>'id')::uuid, e->>'type', (e->>'at')::timestamptz, e->>'actor_kind', coalesce(e->>'actor', ''), (e->>'user_id')::uuid, e->>'client_id',
    (e->>'session_id')::uuid, coalesce(e->>'object', ''), coalesce(e->>'request_id', ''), coalesce(e->>'trace_id', ''),
    coalesce(e->'data', '{}'), decode(e->>'personal_digest', 'base64'));
  IF e ? 'personal' THEN
    INSERT INTO event_personal (event_id, user_id, at, sealed, address_mac, identifier_mac)
    VALUES ((e->>'id')::uuid, (e->>'user_id')::uuid, (e->>'at')::timestamptz, decode(e->>'personal', 'base64'),
      decode(e->>'address_mac', 'base64'), decode(e->>'identifier_mac', 'base64'));
  END IF;
  PERFORM set_config('app.recorded', 'yes', true);
  RETURN true;
END $$;
-- +goose StatementEnd

-- Not recorded, not committed: the deferred trigger of an audited table.
-- +goose StatementBegin
CREATE FUNCTION require_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('app.recorded', true) IS DISTINCT FROM 'yes' THEN
    RAISE EXCEPTION 'change to % committed without an event', TG_TABLE_NAME USING ERRCODE = 'GH001';
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd

-- audit makes changes of a table need an event; moments narrows which operations and columns count.
-- +goose StatementBegin
CREATE PROCEDURE audit(target regclass, moments text DEFAULT 'INSERT OR UPDATE OR DELETE') LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE CONSTRAINT TRIGGER recorded AFTER %s ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION require_event()', moments, target);
END $$;
-- +goose StatementEnd

-- announce tells listening processes that a realm's rows of a table changed, when the change commits, so that their
-- caches forget them (realm.Changes). Hanging on the table, it cannot be forgotten.
-- +goose StatementBegin
CREATE FUNCTION announce_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('gatehouse_changes', current_realm() || ' ' || TG_TABLE_NAME);
  RETURN NULL;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE PROCEDURE announce(target regclass) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TRIGGER announced AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION announce_change()', target);
END $$;
-- +goose StatementEnd

CALL announce('realms');
CALL announce('realm_hosts');
CALL audit('realms');
CALL audit('realm_hosts');
