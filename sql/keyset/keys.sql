-- name: Keys :many
-- Keys reads the realm's key ring, the newest key first.
SELECT k.kid, k.alg, k.state, k.private_key, k.created_at FROM keys k WHERE k.state <> 'revoked' ORDER BY k.created_at DESC;

-- name: InsertKey :exec
-- InsertKey adds a key; an active one of the algorithm makes it fail.
INSERT INTO keys (kid, alg, state, private_key, created_at) VALUES (@kid, @alg, @state, @private_key, @now);
