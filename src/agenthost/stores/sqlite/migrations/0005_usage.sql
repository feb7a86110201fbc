-- The ledger summed up by day (since 1970, UTC), so that a month's figures need no look at it; `cost` in nano-USD. What
-- isn't settled is read from the ledger itself by `ledger_open`; where it is deleted unsettled, its worst case is kept in `open_*`.
CREATE TABLE usage (
    namespace TEXT NOT NULL,
    day INTEGER NOT NULL,
    person TEXT NOT NULL,
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    calls INTEGER NOT NULL DEFAULT 0,
    turns INTEGER NOT NULL DEFAULT 0,
    tokens INTEGER NOT NULL DEFAULT 0,
    cost INTEGER NOT NULL DEFAULT 0,
    unpriced INTEGER NOT NULL DEFAULT 0,
    open_calls INTEGER NOT NULL DEFAULT 0,
    open_tokens INTEGER NOT NULL DEFAULT 0,
    open_cost INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (namespace, day, person, agent, model)
) WITHOUT ROWID;
CREATE INDEX ledger_open ON ledger (namespace, at) WHERE settled = 0;
CREATE INDEX tasks_held ON tasks (hold) WHERE ended = 0 AND hold > '';

INSERT INTO usage (namespace, day, person, agent, model, calls, turns, tokens, cost, unpriced)
SELECT namespace, CAST(at / 86400 AS INTEGER), person, agent, model, COUNT(*), SUM(spent_turns), SUM(spent_tokens),
  SUM(CAST(ROUND(spent_cost * 1e9) AS INTEGER)), SUM(priced = 0)
FROM ledger WHERE settled = 1 GROUP BY 1, 2, 3, 4, 5;

CREATE TRIGGER usage_settled AFTER UPDATE OF settled ON ledger WHEN NEW.settled = 1 AND OLD.settled = 0 BEGIN
    INSERT INTO usage (namespace, day, person, agent, model, calls, turns, tokens, cost, unpriced)
    VALUES (NEW.namespace, CAST(NEW.at / 86400 AS INTEGER), NEW.person, NEW.agent, NEW.model, 1, NEW.spent_turns,
      NEW.spent_tokens, CAST(ROUND(NEW.spent_cost * 1e9) AS INTEGER), NEW.priced = 0)
    ON CONFLICT DO UPDATE SET calls = calls + 1, turns = turns + excluded.turns, tokens = tokens + excluded.tokens,
      cost = cost + excluded.cost, unpriced = unpriced + excluded.unpriced;
END;

CREATE TRIGGER usage_of_the_deleted BEFORE DELETE ON ledger WHEN OLD.settled = 0 BEGIN
    INSERT INTO usage (namespace, day, person, agent, model, open_calls, open_tokens, open_cost)
    VALUES (OLD.namespace, CAST(OLD.at / 86400 AS INTEGER), OLD.person, OLD.agent, OLD.model, 1, OLD.worst_tokens,
      CAST(ROUND(OLD.worst_cost * 1e9) AS INTEGER))
    ON CONFLICT DO UPDATE SET open_calls = open_calls + 1, open_tokens = open_tokens + excluded.open_tokens,
      open_cost = open_cost + excluded.open_cost;
END;
