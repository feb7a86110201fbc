-- Addresses that are told what becomes of a task. `seen` is JSON; `token` and `credentials` are sealed.
CREATE TABLE pushes (
    task TEXT NOT NULL,
    id TEXT NOT NULL,
    url TEXT NOT NULL,
    namespace TEXT NOT NULL,
    person TEXT NOT NULL,
    created REAL NOT NULL,
    agent TEXT NOT NULL,
    base TEXT NOT NULL,
    token TEXT NOT NULL,
    scheme TEXT NOT NULL,
    credentials TEXT NOT NULL,
    version TEXT NOT NULL,
    seen TEXT NOT NULL,
    done INTEGER NOT NULL,
    PRIMARY KEY (task, id)
) WITHOUT ROWID;
CREATE INDEX pushes_to_tell ON pushes (created) WHERE done = 0;
