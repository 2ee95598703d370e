-- name: Keys :many
-- Keys reads the realm's key ring, the newest key first. Revoked keys are not of it, nor those retired long ago.
SELECT k.kid, k.alg, k.state, k.private_key, k.created_at, k.since FROM keys k
WHERE k.state IN ('next', 'active') OR k.state = 'retired' AND k.since > @retired_after
ORDER BY k.created_at DESC, k.kid;

-- name: States :many
-- States lists all keys that the realm has or had, the newest first.
SELECT k.kid, k.alg, k.state, k.created_at, k.since FROM keys k ORDER BY k.created_at DESC, k.kid;

-- name: InsertKey :exec
-- InsertKey adds a key; a second one of an algorithm that is active, or next, makes it fail.
INSERT INTO keys (kid, alg, state, private_key, created_at, since) VALUES (@kid, @alg, @state, @private_key, @now, @now);

-- name: Retire :one
-- Retire ends the signing of an algorithm's active key and returns its id, if that successor is still waiting.
UPDATE keys k SET state = 'retired', since = @now
WHERE k.alg = @alg AND k.state = 'active' AND EXISTS (SELECT FROM keys n WHERE n.kid = @successor AND n.alg = k.alg AND n.state = 'next')
RETURNING k.kid;

-- name: Activate :execrows
-- Activate lets the next key sign.
UPDATE keys k SET state = 'active', since = @now WHERE k.kid = @kid AND k.state = 'next';

-- name: Revoke :one
-- Revoke ends a key for good and returns its algorithm.
UPDATE keys k SET state = 'revoked', since = @now WHERE k.kid = @kid AND k.state <> 'revoked' RETURNING k.alg;

-- name: Lock :exec
-- Lock lets one transaction at a time take the realm's keys to other states. It locks no rows: each transaction would see
-- others of them, since keys are added, and they would wait for each other in a circle.
SELECT pg_advisory_xact_lock(hashtextextended('keys ' || current_realm()::text, 0));
