-- Approvals that people gave for good, and what each was used for. Times in seconds since the epoch; `rules` is JSON.
CREATE TABLE grants (
    id TEXT NOT NULL PRIMARY KEY,
    namespace TEXT NOT NULL,
    person TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    tool TEXT NOT NULL,
    by_whom TEXT NOT NULL,
    at REAL NOT NULL,
    rules TEXT NOT NULL,
    anything INTEGER NOT NULL,
    untrusted INTEGER NOT NULL,
    via TEXT NOT NULL,
    task TEXT NOT NULL,
    question TEXT NOT NULL,
    note TEXT NOT NULL,
    uses INTEGER NOT NULL DEFAULT 0,
    used REAL NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX grants_of ON grants (namespace, person, at);
CREATE INDEX grants_of_all ON grants (namespace, at);
CREATE INDEX grants_for ON grants (namespace, person, kind, name, tool, at);
CREATE INDEX grants_by ON grants (namespace, by_whom);

CREATE TABLE grant_uses (
    grant_id TEXT NOT NULL,
    task TEXT NOT NULL,
    question TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (grant_id, task, question)
) WITHOUT ROWID;
CREATE INDEX grant_uses_by_task ON grant_uses (task);
CREATE INDEX grant_uses_by_time ON grant_uses (grant_id, at);

-- Whoever takes a grant back or deletes a task: what it was used for goes with it.
CREATE TRIGGER grants_gone AFTER DELETE ON grants
BEGIN
    DELETE FROM grant_uses WHERE grant_id = old.id;
END;
CREATE TRIGGER grant_uses_gone AFTER DELETE ON tasks
BEGIN
    DELETE FROM grant_uses WHERE task = old.id;
END;

-- Whoever was told of a question hears that it is open no more, also where the task goes on.
CREATE TRIGGER tasks_to_tell_answered AFTER UPDATE OF seq ON tasks
WHEN old.state IN ('input-required', 'auth-required') AND new.ended = 0 AND new.state NOT IN ('input-required', 'auth-required')
BEGIN
    INSERT INTO webhook_marks (task, seq, seen, at)
    SELECT new.id, new.seq, 0, (julianday('now') - 2440587.5) * 86400.0 WHERE EXISTS (
        SELECT 1 FROM webhooks WHERE namespace = new.namespace AND person = new.person
    )
    ON CONFLICT (task) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;
