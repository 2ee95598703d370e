-- People, the names they sign in with, and their passwords.

-- +goose Up
CREATE TABLE users (
  realm_id uuid NOT NULL DEFAULT current_realm() REFERENCES realms,
  id uuid NOT NULL,
  -- the sub claim: random or imported, never reused
  subject text NOT NULL,
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled', 'locked')),
  -- standard claims (OpenID Connect Core §5.1) other than those that identifiers carry
  claims jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (realm_id, id),
  UNIQUE (realm_id, subject)
);
CALL isolate('users', 'SELECT, INSERT, UPDATE, DELETE');
CALL audit('users');

-- One name belongs to one person, whatever its kind or spelling.
CREATE TABLE identifiers (
  realm_id uuid NOT NULL DEFAULT current_realm(),
  id uuid NOT NULL,
  user_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('username', 'email', 'phone')),
  -- byte order, so that names that begin alike stand together
  canonical text COLLATE "C" NOT NULL,
  display text NOT NULL,
  verified_at timestamptz,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (realm_id, id),
  UNIQUE (realm_id, canonical),
  UNIQUE (realm_id, user_id, kind),
  FOREIGN KEY (realm_id, user_id) REFERENCES users ON DELETE CASCADE
);
CALL isolate('identifiers', 'SELECT, INSERT, UPDATE, DELETE');
CALL audit('identifiers');

CREATE TABLE passwords (
  realm_id uuid NOT NULL DEFAULT current_realm(),
  user_id uuid NOT NULL,
  -- PHC string or an imported format: algorithm and parameters travel with the hash
  hash text NOT NULL,
  changed_at timestamptz NOT NULL,
  PRIMARY KEY (realm_id, user_id),
  FOREIGN KEY (realm_id, user_id) REFERENCES users ON DELETE CASCADE
);
CALL isolate('passwords', 'SELECT, INSERT, UPDATE, DELETE');
CALL audit('passwords');
