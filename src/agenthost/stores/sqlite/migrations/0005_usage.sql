-- The ledger summed up by day (since 1970, UTC), so that a month's figures need no look at it, and stay when its rows go; `cost`
-- in nano-USD. The trigger alone adds to it, at the moment when it is decided what counts for an attempt: `settled` is 1
-- once what it used is known, and 2 where its row goes before anybody knew: then its worst case counts for good (one of `open`).
-- What isn't decided is read from the ledger itself, by `ledger_open`.
CREATE TABLE usage (
    namespace TEXT NOT NULL,
    day INTEGER NOT NULL,
    person TEXT NOT NULL,
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    calls INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    open INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    PRIMARY KEY (namespace, day, person, agent, model)
) WITHOUT ROWID;
CREATE INDEX ledger_open ON ledger (namespace, at) WHERE settled = 0;
CREATE INDEX tasks_held ON tasks (hold) WHERE ended = 0 AND hold > '';

CREATE TRIGGER usage_kept AFTER UPDATE OF settled ON ledger WHEN OLD.settled = 0 AND NEW.settled > 0 BEGIN
    INSERT INTO usage (namespace, day, person, agent, model, calls, tokens, cost, open, unpriced)
    VALUES (NEW.namespace, CAST(NEW.at / 86400 AS INTEGER), NEW.person, NEW.agent, NEW.model, 1, NEW.spent_tokens,
      CAST(ROUND(NEW.spent_cost * 1e9) AS INTEGER), NEW.settled = 2, NEW.priced = 0)
    ON CONFLICT DO UPDATE SET calls = calls + 1, tokens = tokens + excluded.tokens, cost = cost + excluded.cost,
      open = open + excluded.open, unpriced = unpriced + excluded.unpriced;
END;

INSERT INTO usage (namespace, day, person, agent, model, calls, tokens, cost, open, unpriced)
SELECT namespace, CAST(at / 86400 AS INTEGER), person, agent, model, COUNT(*), SUM(spent_tokens),
  SUM(CAST(ROUND(spent_cost * 1e9) AS INTEGER)), 0, SUM(priced = 0)
FROM ledger WHERE settled = 1 GROUP BY 1, 2, 3, 4, 5;
