-- What clients keep by the protocol that they speak. `created` in seconds since the epoch; `files` is JSON.
CREATE TABLE things (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    namespace TEXT NOT NULL,
    person TEXT NOT NULL,
    created REAL NOT NULL,
    body BLOB NOT NULL,
    within TEXT NOT NULL,
    files TEXT NOT NULL,
    UNIQUE (kind, id)
);
CREATE INDEX things_of ON things (namespace, person, kind, within, place);
CREATE INDEX things_within ON things (within) WHERE within > '';

CREATE TABLE thing_files (
    digest TEXT NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (digest, place)
) WITHOUT ROWID;
CREATE INDEX thing_files_by_place ON thing_files (place);

-- Whoever removes a thing: its files are held by it no more, and go where nobody else needs them.
CREATE TRIGGER things_let_go AFTER DELETE ON things
BEGIN
    INSERT OR IGNORE INTO doomed_files (digest, namespace, person)
    SELECT digest, old.namespace, old.person FROM thing_files WHERE place = old.place;
    DELETE FROM thing_files WHERE place = old.place;
END;
