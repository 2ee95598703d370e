-- Realms, and what makes isolation a property of the database: the realm of a transaction and the two
-- procedures that every later migration calls for each of its tables. The roles exist before
-- (postgres.EnsureRoles): roles belong to the cluster, not to a database.

-- +goose Up
GRANT USAGE ON SCHEMA public TO gatehouse_app, gatehouse_global;

-- +goose StatementBegin
CREATE FUNCTION no_realm() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
  RAISE EXCEPTION 'no realm in this transaction' USING ERRCODE = 'GH000';
END $$;
-- +goose StatementEnd

-- current_realm is the realm that the transaction's preamble set. Without one it raises: never "all rows".
CREATE FUNCTION current_realm() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT coalesce(nullif(current_setting('app.realm', true), ''), no_realm())::uuid $$;

-- isolate puts a table under row-level security and says what the application role may do with its rows.
-- +goose StatementBegin
CREATE PROCEDURE isolate(target regclass, privileges text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
  EXECUTE format('CREATE POLICY realm ON %s TO gatehouse_app USING (realm_id = current_realm()) WITH CHECK (realm_id = current_realm())', target);
  EXECUTE format('GRANT %s ON %s TO gatehouse_app', privileges, target);
END $$;
-- +goose StatementEnd

CREATE TABLE realms (
  id uuid PRIMARY KEY,
  slug text NOT NULL UNIQUE,
  name text NOT NULL,
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
  -- the realm's data key, sealed by the process's key ring (envelope); filled when the realm is first prepared
  data_key bytea,
  settings jsonb NOT NULL DEFAULT '{}',
  flags jsonb NOT NULL DEFAULT '{}',
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);
-- The realm that administers the others. Its row comes before the policies: they would refuse it.
INSERT INTO realms (id, slug, name, created_at, updated_at) VALUES (gen_random_uuid(), 'system', 'System', now(), now());

CREATE TABLE realm_hosts (
  host text PRIMARY KEY,
  realm_id uuid NOT NULL DEFAULT current_realm() REFERENCES realms ON DELETE CASCADE,
  -- the host at the lowest position names the issuer
  position bigint NOT NULL
);
CREATE INDEX realm_hosts_realm ON realm_hosts (realm_id);

-- Both are read before the realm of a request is known, so the global role may read them. Writing happens as
-- everywhere: inside the realm, also when the realm is being made.
ALTER TABLE realms ENABLE ROW LEVEL SECURITY;
ALTER TABLE realms FORCE ROW LEVEL SECURITY;
CREATE POLICY realm ON realms TO gatehouse_app USING (id = current_realm()) WITH CHECK (id = current_realm());
CREATE POLICY global ON realms FOR SELECT TO gatehouse_global USING (true);
GRANT SELECT, INSERT, UPDATE ON realms TO gatehouse_app;
GRANT SELECT ON realms TO gatehouse_global;
CALL isolate('realm_hosts', 'SELECT, INSERT, DELETE');
CREATE POLICY global ON realm_hosts FOR SELECT TO gatehouse_global USING (true);
GRANT SELECT ON realm_hosts TO gatehouse_global;
