-- How long was worked on a day, in milliseconds; a task's own account has none.
ALTER TABLE accounts ADD COLUMN time INTEGER NOT NULL DEFAULT 0;
