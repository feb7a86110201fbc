-- Conversations: lines by people and by the host. Times in seconds since the epoch; `body` is core.conversations.Line as JSON, and
-- `state`, `task` and `place` count where they differ from it.
CREATE TABLE conversations (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace TEXT NOT NULL,
    person TEXT NOT NULL,
    conversation TEXT NOT NULL,
    channel TEXT NOT NULL,
    at REAL NOT NULL,
    place INTEGER NOT NULL,
    UNIQUE (namespace, person, conversation)
);
CREATE INDEX conversations_by_place ON conversations (namespace, person, place);

CREATE TABLE lines (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    thread INTEGER NOT NULL,
    id TEXT NOT NULL,
    namespace TEXT NOT NULL,
    person TEXT NOT NULL,
    speaker TEXT NOT NULL,
    channel TEXT NOT NULL,
    task TEXT NOT NULL,
    question TEXT NOT NULL,
    state TEXT NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (thread, id)
);
CREATE INDEX lines_of ON lines (thread, place);
CREATE INDEX lines_by_person ON lines (namespace, person, place);
CREATE INDEX lines_open ON lines (thread, speaker, place) WHERE state <> 'filed';
CREATE INDEX lines_by_task ON lines (task, place);

CREATE TABLE shown_lines (
    thread INTEGER NOT NULL,
    id TEXT NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (thread, id)
) WITHOUT ROWID;
CREATE INDEX shown_by_place ON shown_lines (place);

-- `place`: of the last line about it.
CREATE TABLE topics (
    task TEXT NOT NULL PRIMARY KEY,
    thread INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    place INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX topics_of ON topics (thread, ended, place);

CREATE TABLE topic_words (
    thread INTEGER NOT NULL,
    word TEXT NOT NULL,
    task TEXT NOT NULL,
    PRIMARY KEY (thread, word, task)
) WITHOUT ROWID;
CREATE INDEX topic_words_by_task ON topic_words (task);

CREATE TABLE line_files (
    digest TEXT NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (digest, place)
) WITHOUT ROWID;
CREATE INDEX line_files_by_place ON line_files (place);

CREATE TABLE line_marks (
    task TEXT NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL,
    seen INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX line_marks_new ON line_marks (task) WHERE seq > seen;

-- A task that is begun elsewhere in a conversation that is held here is one of its topics.
CREATE TRIGGER tasks_are_topics AFTER INSERT ON tasks WHEN new.conversation > '' AND new.parent = ''
BEGIN
    INSERT OR IGNORE INTO topics (task, thread, ended, place)
    SELECT new.id, number, new.ended, place FROM conversations
    WHERE namespace = new.namespace AND person = new.person AND conversation = new.conversation;
END;

-- In the transaction of the event: a host that dies the moment after still knows what to say.
CREATE TRIGGER tasks_to_say AFTER UPDATE OF seq ON tasks
WHEN new.ended = 1 OR new.state IN ('input-required', 'auth-required') OR old.state IN ('input-required', 'auth-required')
BEGIN
    INSERT INTO line_marks (task, seq, seen)
    SELECT new.id, new.seq, 0 WHERE EXISTS (SELECT 1 FROM topics WHERE task = new.root)
    ON CONFLICT (task) DO UPDATE SET seq = excluded.seq;
    UPDATE topics SET ended = new.ended WHERE task = new.id AND ended <> new.ended;
END;
CREATE TRIGGER tasks_to_say_at_once AFTER INSERT ON tasks
WHEN new.ended = 1 OR new.state IN ('input-required', 'auth-required')
BEGIN
    INSERT INTO line_marks (task, seq, seen)
    SELECT new.id, new.seq, 0 WHERE EXISTS (SELECT 1 FROM topics WHERE task = new.root)
    ON CONFLICT (task) DO UPDATE SET seq = excluded.seq;
    UPDATE topics SET ended = new.ended WHERE task = new.id AND ended <> new.ended;
END;

CREATE TRIGGER lines_let_go AFTER DELETE ON lines
BEGIN
    INSERT OR IGNORE INTO doomed_files (digest, namespace, person)
    SELECT digest, namespace, person FROM line_files JOIN conversations ON number = old.thread WHERE line_files.place = old.place;
    DELETE FROM line_files WHERE place = old.place;
    DELETE FROM shown_lines WHERE place = old.place;
END;
CREATE TRIGGER topics_let_go AFTER DELETE ON topics
BEGIN
    DELETE FROM topic_words WHERE task = old.task;
END;
