-- Passwords remember what they replaced, and may be due to be changed or expire.

-- +goose Up
ALTER TABLE passwords
  -- why the person must choose another at the next sign-in, '' for no reason
  ADD COLUMN must_change text NOT NULL DEFAULT '' CHECK (must_change IN ('', 'admin', 'temporary', 'breach', 'policy')),
  -- when a one-time password that an administrator chose stops to work
  ADD COLUMN expires_at timestamptz;

-- Hashes that were replaced, as many as the realm forbids to use again.
CREATE TABLE password_history (
  realm_id uuid NOT NULL DEFAULT current_realm(),
  user_id uuid NOT NULL,
  -- grows with each change of the person's password
  position bigint NOT NULL,
  hash text NOT NULL,
  replaced_at timestamptz NOT NULL,
  PRIMARY KEY (realm_id, user_id, position),
  FOREIGN KEY (realm_id, user_id) REFERENCES users ON DELETE CASCADE
);
CALL isolate('password_history', 'SELECT, INSERT, DELETE');
CALL audit('password_history');
