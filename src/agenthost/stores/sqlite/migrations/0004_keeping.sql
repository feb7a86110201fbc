-- What is kept beside journals (core.keeping). Times in seconds since the epoch.
CREATE TABLE manifest_versions (
    namespace TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    number INTEGER NOT NULL,
    at REAL NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, kind, name, number)
);
INSERT INTO manifest_versions SELECT namespace, kind, name, 1, updated, body FROM manifests;
-- By triggers, so that nothing that writes manifests can forget them. REPLACE doesn't fire the second one.
CREATE TRIGGER manifests_kept AFTER INSERT ON manifests BEGIN
    INSERT INTO manifest_versions SELECT new.namespace, new.kind, new.name, coalesce(max(number), 0) + 1, new.updated, new.body
    FROM manifest_versions WHERE namespace = new.namespace AND kind = new.kind AND name = new.name;
END;
CREATE TRIGGER manifests_gone AFTER DELETE ON manifests BEGIN
    INSERT INTO manifest_versions SELECT old.namespace, old.kind, old.name, coalesce(max(number), 0) + 1, (julianday('now') - 2440587.5) * 86400.0, x''
    FROM manifest_versions WHERE namespace = old.namespace AND kind = old.kind AND name = old.name;
END;

-- `status` 0: it is still being made, by `maker`.
CREATE TABLE given_answers (
    key TEXT NOT NULL PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    maker TEXT NOT NULL,
    at REAL NOT NULL,
    status INTEGER NOT NULL,
    head BLOB NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX given_answers_by_time ON given_answers (at);

-- `value` is JSON.
CREATE TABLE changed_settings (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- An event's rowid is its place among all events, by which a follower of everything goes on. SQLite would give the places
-- of the newest events again once they are deleted: so the last one leaves an event of no task behind.
CREATE TRIGGER events_keep_their_places AFTER DELETE ON events WHEN old.task <> ''
    AND NOT EXISTS (SELECT 1 FROM events WHERE rowid > old.rowid) BEGIN
    INSERT OR IGNORE INTO events (rowid, task, seq, at, kind, version, body) VALUES (old.rowid, '', old.rowid, old.at, 'gone', 1, x'');
END;
