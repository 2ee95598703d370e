-- A challenge remembers what it was for, and whether it still counts, after it was shown back: whether it registers an account, and whether what it allowed is void.

-- +goose Up
ALTER TABLE challenges
  -- an account is asked for, whose password was typed in the flow that waits; a decoy of that says so too
  ADD COLUMN registers boolean NOT NULL DEFAULT false,
  -- nothing may come of it any more, neither by showing it back nor of having done so: the flow that waits for it goes on
  -- waiting, as one does that waits for a decoy
  ADD COLUMN void boolean NOT NULL DEFAULT false;

-- what was shown back in this flow: the person may do what it allows as long as it is not void
ALTER TABLE flows ADD COLUMN redeemed_challenge_id uuid;
