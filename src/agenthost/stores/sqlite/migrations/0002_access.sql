-- Whose things are whose, and who may come in. Times in seconds since the epoch.
ALTER TABLE tasks ADD COLUMN conversation TEXT NOT NULL DEFAULT '';
CREATE INDEX tasks_by_person ON tasks (namespace, person, created, id);
CREATE INDEX tasks_by_conversation ON tasks (namespace, conversation, created, id) WHERE conversation > '';
-- With all that A2A's list of an agent's tasks asks for, so that it is counted without a look at the tasks.
CREATE INDEX tasks_by_change ON tasks (namespace, name, updated, id, person, state, parent) WHERE parent = '';
CREATE INDEX files_by_digest ON files (digest);

CREATE TABLE people (
    id TEXT NOT NULL PRIMARY KEY,
    role TEXT NOT NULL,
    created REAL NOT NULL,
    name TEXT NOT NULL,
    namespace TEXT NOT NULL,
    password TEXT NOT NULL,
    subject TEXT NOT NULL,
    disabled INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX people_by_subject ON people (subject) WHERE subject > '';

-- `rights` is JSON.
CREATE TABLE keys (
    id TEXT NOT NULL PRIMARY KEY,
    person TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    created REAL NOT NULL,
    name TEXT NOT NULL,
    rights TEXT NOT NULL,
    expires REAL NOT NULL,
    hint TEXT NOT NULL,
    session INTEGER NOT NULL,
    maker TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX keys_by_person ON keys (person);
CREATE INDEX keys_by_maker ON keys (maker) WHERE maker <> '';
CREATE INDEX keys_by_expiry ON keys (expires) WHERE expires > 0;

CREATE TABLE deeds (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    person TEXT NOT NULL,
    what TEXT NOT NULL,
    thing TEXT NOT NULL,
    via TEXT NOT NULL,
    address TEXT NOT NULL,
    outcome TEXT NOT NULL,
    namespace TEXT NOT NULL
);
CREATE TRIGGER deeds_stay BEFORE DELETE ON deeds BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER deeds_are_facts BEFORE UPDATE ON deeds BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TABLE given_files (
    namespace TEXT NOT NULL,
    digest TEXT NOT NULL,
    person TEXT NOT NULL,
    PRIMARY KEY (namespace, digest, person)
) WITHOUT ROWID;
