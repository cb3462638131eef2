-- On whose behalf a job runs: the conversation's or the channel's user; NULL where there is none.
ALTER TABLE job ADD COLUMN user_id TEXT;
