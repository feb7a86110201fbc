-- What is run when, and what became of each time (core.schedules). Times in seconds since the epoch; `spec` is JSON.
-- `whose` is the person whose own it is, empty where a manifest says it: names are unique for each.
CREATE TABLE schedules (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    person TEXT NOT NULL,
    created REAL NOT NULL,
    spec TEXT NOT NULL,
    namespace TEXT NOT NULL,
    manifest INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    due REAL,
    state TEXT NOT NULL,
    why TEXT NOT NULL,
    runs INTEGER NOT NULL,
    looked REAL NOT NULL,
    whose TEXT NOT NULL,
    UNIQUE (namespace, whose, name)
);
CREATE INDEX schedules_of ON schedules (namespace, person, name);
CREATE INDEX schedules_due ON schedules (due) WHERE due IS NOT NULL;
CREATE INDEX schedules_looked ON schedules (looked) WHERE due IS NOT NULL;
CREATE INDEX schedules_done ON schedules (looked) WHERE state = 'done' AND manifest = 0;

-- `body` is the order of one that isn't started yet, empty afterwards. What was missed (`missed` is 1) stands beside what was
-- run: a clock that is set back may have a time come again.
CREATE TABLE schedule_runs (
    schedule TEXT NOT NULL,
    due REAL NOT NULL,
    missed INTEGER NOT NULL,
    state TEXT NOT NULL,
    at REAL NOT NULL,
    person TEXT NOT NULL,
    late INTEGER NOT NULL,
    manual INTEGER NOT NULL,
    body BLOB NOT NULL,
    task TEXT NOT NULL,
    why TEXT NOT NULL,
    until REAL NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (schedule, due, missed)
) WITHOUT ROWID;
CREATE INDEX schedule_runs_open ON schedule_runs (schedule, due) WHERE state IN ('waiting', 'starting', 'started');

-- The files that a schedule gives to what it runs: they stay as long as it does.
CREATE TABLE schedule_files (
    digest TEXT NOT NULL,
    schedule TEXT NOT NULL,
    PRIMARY KEY (digest, schedule)
) WITHOUT ROWID;
CREATE INDEX schedule_files_of ON schedule_files (schedule);

-- Whoever removes a schedule: what it did goes with it, and its files where nobody else needs them.
CREATE TRIGGER schedules_gone AFTER DELETE ON schedules
BEGIN
    DELETE FROM schedule_runs WHERE schedule = old.id;
    INSERT OR IGNORE INTO doomed_files (digest, namespace, person)
    SELECT digest, '', '' FROM schedule_files WHERE schedule = old.id;
    DELETE FROM schedule_files WHERE schedule = old.id;
END;
