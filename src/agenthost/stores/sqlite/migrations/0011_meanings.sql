-- What tasks of conversations are about, as a vector of an embedding model: one a task, of the text that was looked at last. `text` is that
-- text's hash, `vector` a signed byte a number, `signs` a bit a number.
CREATE TABLE meanings (
    task TEXT NOT NULL PRIMARY KEY,
    thread INTEGER NOT NULL,
    model TEXT NOT NULL,
    text TEXT NOT NULL,
    signs BLOB NOT NULL,
    vector BLOB NOT NULL
);
CREATE INDEX meanings_of ON meanings (thread, model, task, signs);

CREATE TRIGGER meanings_let_go AFTER DELETE ON topics
BEGIN
    DELETE FROM meanings WHERE task = old.task;
END;
