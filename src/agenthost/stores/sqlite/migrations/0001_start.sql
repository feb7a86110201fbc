-- Columns of `tasks` up to `owner` are the fields of core.tasks.TaskRow in order. `ended` is 1 in a
-- final state: an own column, so that a step that changes the state leaves the index `tasks_open` alone.
CREATE TABLE tasks (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    namespace TEXT NOT NULL,
    person TEXT NOT NULL,
    parent TEXT NOT NULL,
    root TEXT NOT NULL,
    title TEXT NOT NULL,
    hold TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    owner TEXT NOT NULL,
    ended INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tasks_open ON tasks (owner, hold, created) WHERE ended = 0;
CREATE INDEX tasks_by_time ON tasks (namespace, created, id);

CREATE TABLE owners (
    owner TEXT NOT NULL PRIMARY KEY,
    until REAL NOT NULL
) WITHOUT ROWID;

-- With a rowid: the events of all tasks that go on are written side by side at the end of the table, and not
-- each in a page of its own; that halves what a group of steps writes, and a long body needs no overflow page.
CREATE TABLE events (
    task TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (task, seq)
);

-- `body` is NULL once the item was taken: its id is remembered, so that it counts once.
CREATE TABLE inbox (
    place INTEGER PRIMARY KEY,
    task TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    body BLOB,
    at REAL NOT NULL,
    UNIQUE (task, id)
);
CREATE INDEX inbox_waiting ON inbox (task) WHERE body IS NOT NULL;

-- `scopes` is JSON; costs are in USD; `spent_*` are NULL until the attempt is settled.
CREATE TABLE ledger (
    place INTEGER PRIMARY KEY,
    root TEXT NOT NULL,
    task TEXT NOT NULL,
    command TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    at REAL NOT NULL,
    person TEXT NOT NULL,
    namespace TEXT NOT NULL,
    scopes BLOB NOT NULL,
    worst_turns INTEGER NOT NULL,
    worst_tokens INTEGER NOT NULL,
    worst_cost REAL NOT NULL,
    spent_turns INTEGER,
    spent_tokens INTEGER,
    spent_cost REAL,
    settled INTEGER NOT NULL DEFAULT 0,
    priced INTEGER NOT NULL,
    UNIQUE (root, task, command, attempt)
);

-- Running totals of what counts against a budget; `cost` in nano-USD.
CREATE TABLE accounts (
    task TEXT NOT NULL PRIMARY KEY,
    turns INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    cost INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE files (
    workspace TEXT NOT NULL,
    path TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (workspace, path)
) WITHOUT ROWID;

CREATE TABLE definitions (
    digest TEXT NOT NULL PRIMARY KEY,
    body BLOB NOT NULL
);

CREATE TABLE manifests (
    namespace TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    body BLOB NOT NULL,
    updated REAL NOT NULL,
    PRIMARY KEY (namespace, kind, name)
);
