-- A person can be signed out of everything and be deleted: proofs of identity from before do not count, subjects are never given again.

-- +goose Up
-- When everything that the person was signed in to was last ended. What somebody proved before makes no session any more.
ALTER TABLE users ADD COLUMN signed_out_at timestamptz;

-- The subjects of people who were deleted: SHA-256, because an imported one may say who it was.
CREATE TABLE former_subjects (
  realm_id uuid NOT NULL DEFAULT current_realm() REFERENCES realms,
  subject_hash bytea NOT NULL,
  PRIMARY KEY (realm_id, subject_hash)
);
CALL isolate('former_subjects', 'SELECT, INSERT');

-- +goose StatementBegin
CREATE FUNCTION subject_was_given(subject text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT 1 FROM former_subjects f WHERE f.subject_hash = sha256(convert_to(subject, 'UTF8')))
$$;
-- +goose StatementEnd

-- Hanging on the table, neither half can be forgotten. The check comes after the row, when its unique index has waited
-- for whoever was just deleting the same subject.
-- +goose StatementBegin
CREATE FUNCTION keep_subject() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO former_subjects (subject_hash) VALUES (sha256(convert_to(OLD.subject, 'UTF8'))) ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION refuse_former_subject() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF subject_was_given(NEW.subject) THEN
    RAISE EXCEPTION 'the subject was somebody else''s' USING ERRCODE = 'unique_violation', CONSTRAINT = 'former_subjects_pkey';
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER kept AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION keep_subject();
CREATE TRIGGER unused AFTER INSERT OR UPDATE OF subject ON users FOR EACH ROW EXECUTE FUNCTION refuse_former_subject();

-- hold_session waits for whoever is ending everything of a person, and answers whether their session still lives. What
-- is made while it holds is seen by whoever ends everything next.
-- +goose StatementBegin
CREATE FUNCTION hold_session(session uuid, person uuid, moment timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM users u WHERE u.id = person AND u.status = 'active' FOR KEY SHARE;
  RETURN FOUND AND EXISTS (
    SELECT 1 FROM sessions s WHERE s.id = session AND s.user_id = person AND s.ended_at IS NULL AND s.ends_at > moment);
END $$;
-- +goose StatementEnd
