-- What people allowed applications to have, to be remembered.

-- +goose Up
-- Without a foreign key to clients: whoever deletes one deletes these.
CREATE TABLE consents (
  realm_id uuid NOT NULL DEFAULT current_realm(),
  user_id uuid NOT NULL,
  client_id text NOT NULL,
  scopes text[] NOT NULL,
  granted_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (realm_id, user_id, client_id),
  FOREIGN KEY (realm_id, user_id) REFERENCES users ON DELETE CASCADE
);
CREATE INDEX consents_client ON consents (realm_id, client_id);
CALL isolate('consents', 'SELECT, INSERT, UPDATE, DELETE');
CALL audit('consents');
