-- name: Insert :exec
-- Insert stores a challenge whose secrets are about to be sent.
INSERT INTO challenges (id, purpose, user_id, address, shown, template, registers, payload, token_hash, code_mac, tx, slot, created_at, code_expires_at, expires_at)
VALUES (@id, @purpose, @user_id, @address, @shown, @template, @registers, @payload, @token_hash, @code_mac, @tx, @slot, @now, @code_expires_at, @expires_at);

-- name: Turn :exec
-- Turn waits until nobody else replaces what a name stands for, and keeps others waiting until the transaction ends: two
-- that came at once would not see each other, and both stay.
SELECT pg_advisory_xact_lock(hashtextextended(@name::text, 0));

-- name: EndOthers :execrows
-- EndOthers ends what a new challenge replaces in its flow, and makes void what else waits to be shown back in its slot and
-- of the same purpose.
UPDATE challenges c SET void = true, payload = NULL, ended_at = CASE WHEN c.tx = @tx AND c.tx <> '' THEN @now::timestamptz END
WHERE c.ended_at IS NULL AND (c.slot = @slot AND c.purpose = @purpose AND NOT c.void OR c.tx = @tx AND c.tx <> '');

-- name: Void :execrows
-- Void makes a person's challenges of some purposes void but one, those that were shown back as well.
UPDATE challenges c SET void = true, payload = NULL
WHERE c.user_id = @user_id AND c.purpose = ANY (@purposes::text[]) AND c.id <> @kept AND NOT c.void;

-- name: EndOfFlow :execrows
-- EndOfFlow ends what a flow waits for.
UPDATE challenges c SET ended_at = @now, payload = NULL WHERE c.tx = @tx AND c.tx <> '' AND c.ended_at IS NULL;

-- name: OfFlow :one
-- OfFlow reads what a flow waits for, to be sent once more, locked: an account may just be being made of it.
SELECT c.id, c.purpose, c.user_id, c.address, c.shown, c.template, c.registers, c.payload, (c.code_mac IS NULL)::boolean AS decoy FROM challenges c
WHERE c.tx = @tx AND c.tx <> '' AND c.ended_at IS NULL FOR UPDATE;

-- name: ByToken :one
-- ByToken reads the live challenge of a link. IS TRUE keeps a planner that does not know the table yet from reading all
-- that are alive.
SELECT c.id, c.user_id, c.address, c.tx, c.created_at FROM challenges c
WHERE c.token_hash = @token_hash AND c.purpose = @purpose AND (c.ended_at IS NULL) IS TRUE AND NOT c.void AND (c.expires_at > @now) IS TRUE;

-- name: SpendToken :one
-- SpendToken ends the live challenge of a link, once.
UPDATE challenges c SET ended_at = @now
WHERE c.token_hash = @token_hash AND c.purpose = @purpose AND (c.ended_at IS NULL) IS TRUE AND NOT c.void AND (c.expires_at > @now) IS TRUE
RETURNING c.id, c.user_id, c.address, c.registers, c.payload, c.tx, c.created_at;

-- name: Try :one
-- Try counts one try of the code that a flow waits for, and returns what to compare it with. No row: there is none
-- that can still be tried.
UPDATE challenges c SET tries = c.tries + 1
WHERE c.tx = @tx AND c.tx <> '' AND c.purpose = @purpose AND c.ended_at IS NULL AND c.code_expires_at > @now AND c.tries < @most
RETURNING c.id, c.user_id, c.address, c.registers, c.payload, (CASE WHEN NOT c.void THEN c.code_mac END)::bytea AS code_mac, c.tries, c.created_at;

-- name: Spend :execrows
-- Spend ends a challenge whose code was right.
UPDATE challenges c SET ended_at = @now WHERE c.id = @id AND c.ended_at IS NULL;

-- name: ForgetPayload :exec
UPDATE challenges c SET payload = NULL WHERE c.id = @id;

-- name: Pending :one
-- Pending reads the registration that a challenge carries, locked, and what it needs; ended ones are not.
SELECT c.id, c.user_id, c.address, c.payload, c.created_at FROM challenges c
WHERE c.id = @id AND c.purpose = 'verify' AND c.ended_at IS NULL AND NOT c.void AND c.expires_at > @now FOR UPDATE;

-- name: Assign :execrows
-- Assign gives a challenge to the account that was made of it.
UPDATE challenges c SET user_id = @user_id, payload = NULL WHERE c.id = @id;

-- name: DeleteEnded :execrows
-- DeleteEnded deletes challenges that are over, a batch at a time. What was shown back stays for as long as a flow may still
-- name it.
DELETE FROM challenges c WHERE c.id IN (
  SELECT o.id FROM challenges o WHERE o.expires_at <= @now AND (o.ended_at IS NULL OR o.ended_at <= @before)
  ORDER BY o.expires_at LIMIT @most FOR UPDATE SKIP LOCKED);

-- name: DeleteOfUser :exec
DELETE FROM challenges c WHERE c.user_id = @user_id;
