-- A newer challenge replaces the older ones of its slot: those of the person, or those that pretended to be sent to a name
-- that nobody has. Looking for the latter, and writing them, costs what it costs for a person (LG-08). The partial index
-- holds what can still be replaced, so that it does not matter how often somebody was sent one. Challenges from before are
-- in no slot: they expire within a week.

-- +goose Up
ALTER TABLE challenges ADD COLUMN slot text NOT NULL DEFAULT '';
CREATE INDEX challenges_slot ON challenges (realm_id, slot) WHERE ended_at IS NULL AND NOT void;
