-- Who is told of a task's end or question, and what is to be sent. Times in seconds since the epoch; `events` is JSON.
CREATE TABLE webhooks (
    id TEXT NOT NULL PRIMARY KEY,
    person TEXT NOT NULL,
    url TEXT NOT NULL,
    created REAL NOT NULL,
    namespace TEXT NOT NULL,
    events TEXT NOT NULL,
    task TEXT NOT NULL,
    disabled TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX webhooks_by_person ON webhooks (namespace, person, created);

-- `at` is when it was written, which may be long after the time that the event has: that of the beginning of its step.
CREATE TABLE webhook_marks (
    task TEXT NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    at REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE deliveries (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    webhook TEXT NOT NULL,
    root TEXT NOT NULL,
    event TEXT NOT NULL,
    at REAL NOT NULL,
    body BLOB NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due REAL NOT NULL,
    status INTEGER NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX deliveries_by_root ON deliveries (root);
CREATE INDEX deliveries_by_webhook ON deliveries (webhook, place);
CREATE INDEX deliveries_waiting ON deliveries (webhook, root, place) WHERE state = 'waiting';
CREATE INDEX deliveries_due ON deliveries (due) WHERE state = 'waiting';
CREATE INDEX deliveries_over ON deliveries (at) WHERE state <> 'waiting';

-- In the transaction of the event: a host that dies the moment after still knows whom to tell.
CREATE TRIGGER tasks_to_tell AFTER UPDATE OF seq ON tasks
WHEN new.ended = 1 OR new.state IN ('input-required', 'auth-required')
BEGIN
    INSERT INTO webhook_marks (task, seq, seen, at)
    SELECT new.id, new.seq, 0, (julianday('now') - 2440587.5) * 86400.0 WHERE EXISTS (
        SELECT 1 FROM webhooks WHERE namespace = new.namespace AND person = new.person
    )
    ON CONFLICT (task) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;
CREATE TRIGGER tasks_to_tell_at_once AFTER INSERT ON tasks
WHEN new.ended = 1 OR new.state IN ('input-required', 'auth-required')
BEGIN
    INSERT INTO webhook_marks (task, seq, seen, at)
    SELECT new.id, new.seq, 0, (julianday('now') - 2440587.5) * 86400.0 WHERE EXISTS (
        SELECT 1 FROM webhooks WHERE namespace = new.namespace AND person = new.person
    )
    ON CONFLICT (task) DO UPDATE SET seq = excluded.seq, at = excluded.at;
END;

-- Tasks whose rows are going: what was begun is ended, whenever the host dies. And files that nobody may need any more.
CREATE TABLE erasing (
    root TEXT NOT NULL PRIMARY KEY,
    at REAL NOT NULL
) WITHOUT ROWID;

-- `person` is whose gift it may have been; empty where that is forgotten already.
CREATE TABLE doomed_files (
    digest TEXT NOT NULL,
    namespace TEXT NOT NULL,
    person TEXT NOT NULL,
    PRIMARY KEY (digest, namespace, person)
) WITHOUT ROWID;

CREATE INDEX tasks_ended ON tasks (updated, id) WHERE ended = 1 AND parent = '';
ALTER TABLE given_files ADD COLUMN at REAL NOT NULL DEFAULT 0;
UPDATE given_files SET at = (julianday('now') - 2440587.5) * 86400.0;
CREATE INDEX given_by_digest ON given_files (digest);
CREATE INDEX given_by_time ON given_files (at);
