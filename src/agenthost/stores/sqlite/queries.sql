-- The statements of the SQLite store. `-- name:` begins one; the row after `/* many */` is repeated
-- as often as there are rows, so that a whole group costs one step of one statement.

-- name: create_task
INSERT OR IGNORE INTO tasks VALUES /* many */ (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
RETURNING id

-- name: copy_files
INSERT OR REPLACE INTO files (workspace, path, digest) SELECT ?2, path, digest FROM files WHERE workspace = ?1

-- name: know_owner
INSERT OR IGNORE INTO owners (owner, until) VALUES (?, 0)

-- name: claim
UPDATE tasks SET owner = :owner, epoch = epoch + 1
WHERE id = :task AND ended = 0
  AND (owner IN ('', :owner)
       OR NOT EXISTS (SELECT 1 FROM owners WHERE owners.owner = tasks.owner AND owners.until > :now))
RETURNING id, kind, name, state, created, updated, namespace, person, parent, root, title, hold, outcome, reason, seq, epoch, owner, conversation

-- name: heartbeat
INSERT INTO owners (owner, until) VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET until = excluded.until

-- name: release_others
UPDATE tasks SET owner = '' WHERE ended = 0 AND owner > '' AND owner <> ?

-- name: forget_owners
DELETE FROM owners WHERE owner <> ?

-- name: set_hold
UPDATE tasks SET hold = ?, reason = ? WHERE id = ? AND ended = 0

-- name: places
SELECT json_group_array(json_array(id, epoch, seq, ended)) FROM tasks WHERE id IN (VALUES /* many */ (?))

-- name: accounts
SELECT json_group_array(json_array(task, turns, tokens, cost, time)) FROM accounts WHERE task IN (VALUES /* many */ (?))

-- name: attempts
WITH wanted (root, task, command, attempt) AS (VALUES /* many */ (?, ?, ?, ?))
SELECT ledger.task, ledger.command, ledger.attempt, worst_turns, worst_tokens, worst_cost, scopes, settled
FROM wanted CROSS JOIN ledger ON ledger.root = wanted.root AND ledger.task = wanted.task
  AND ledger.command = wanted.command AND ledger.attempt = wanted.attempt

-- name: move_tasks
WITH moved (id, state, updated, seq, outcome, reason) AS (VALUES /* many */ (?, ?, ?, ?, ?, ?))
UPDATE tasks SET state = moved.state, updated = moved.updated, seq = moved.seq, outcome = moved.outcome,
  reason = iif(hold = '', moved.reason, tasks.reason)
FROM moved WHERE tasks.id = moved.id

-- name: end_tasks
WITH moved (id, state, updated, seq, outcome, reason) AS (VALUES /* many */ (?, ?, ?, ?, ?, ?))
UPDATE tasks SET state = moved.state, updated = moved.updated, seq = moved.seq, outcome = moved.outcome,
  reason = moved.reason, hold = '', owner = '', ended = 1
FROM moved WHERE tasks.id = moved.id

-- name: add_events
INSERT INTO events (task, seq, at, kind, version, body) VALUES /* many */ (?, ?, ?, ?, ?, ?)

-- name: reserve
INSERT INTO ledger (root, task, command, attempt, agent, model, at, person, namespace, scopes,
  worst_turns, worst_tokens, worst_cost, priced)
VALUES /* many */ (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: settle
WITH done (root, task, command, attempt, model, turns, tokens, cost) AS (VALUES /* many */ (?, ?, ?, ?, ?, ?, ?, ?))
UPDATE ledger SET model = done.model, spent_turns = done.turns, spent_tokens = done.tokens, spent_cost = done.cost,
  settled = 1
FROM done WHERE ledger.root = done.root AND ledger.task = done.task
  AND ledger.command = done.command AND ledger.attempt = done.attempt

-- name: keep_accounts
INSERT OR REPLACE INTO accounts (task, turns, tokens, cost, time) VALUES /* many */ (?, ?, ?, ?, ?)

-- name: take
UPDATE inbox SET body = NULL WHERE task = ? AND id = ?

-- name: empty_inboxes
DELETE FROM inbox WHERE task IN (VALUES /* many */ (?))

-- name: put
INSERT OR IGNORE INTO inbox (task, id, kind, body, at)
SELECT ?1, ?2, ?3, ?4, ?5 FROM tasks WHERE tasks.id = ?1 AND tasks.ended = 0

-- name: set_file
INSERT OR REPLACE INTO files (workspace, path, digest) VALUES (?, ?, ?)

-- name: remove_file
DELETE FROM files WHERE workspace = ? AND path = ?

-- name: put_definition
INSERT OR IGNORE INTO definitions (digest, body) VALUES (?, ?)

-- name: put_manifest
INSERT OR REPLACE INTO manifests (kind, name, namespace, body, updated) VALUES (?, ?, ?, ?, ?)

-- name: delete_manifest
DELETE FROM manifests WHERE kind = ? AND name = ? AND namespace = ?

-- name: task_place
SELECT ended FROM tasks WHERE id = ?

-- name: task
SELECT id, kind, name, state, created, updated, namespace, person, parent, root, title, hold, outcome, reason, seq, epoch, owner, conversation
FROM tasks WHERE id = ?

-- name: lapsed_owners
SELECT owner FROM owners WHERE until <= ? AND owner <> ? ORDER BY owner

-- name: claimable
SELECT id, kind, name, state, created, updated, namespace, person, parent, root, title, hold, outcome, reason, seq, epoch, owner, conversation
FROM tasks WHERE ended = 0 AND owner = ? AND hold = '' ORDER BY created, id LIMIT ?

-- name: inbox
SELECT task, id, kind, body, at FROM inbox WHERE task = ? AND body IS NOT NULL ORDER BY place

-- name: find
SELECT id FROM tasks WHERE id >= ?1 AND id < ?1 || char(1114111) AND (parent = '' OR instr(?1, '.')) ORDER BY id LIMIT 10

-- name: events
SELECT seq, at, kind, version, body FROM events WHERE task = ? AND seq > ? ORDER BY seq LIMIT ?

-- name: ledger
SELECT task, command, attempt, agent, model, at, person, namespace, scopes,
  worst_turns, worst_tokens, worst_cost, spent_turns, spent_tokens, spent_cost, settled, priced
FROM ledger WHERE root = ? ORDER BY place

-- name: account
SELECT turns, tokens, cost, time FROM accounts WHERE task = ?

-- name: accounts_like
SELECT task, turns, tokens, cost, time FROM accounts WHERE task >= ? AND task < ? ORDER BY task LIMIT 10000

-- The accounts of a day, from the attempts of the ledger; what they hold already is no less.
-- name: reckon_day
INSERT INTO accounts (task, turns, tokens, cost)
WITH today AS MATERIALIZED (
  SELECT namespace, person, agent, coalesce(spent_turns, worst_turns) AS turns, coalesce(spent_tokens, worst_tokens) AS tokens,
    CAST(ROUND(coalesce(spent_cost, worst_cost) * 1000000000) AS INTEGER) AS cost
  FROM ledger WHERE at >= ?2
)
SELECT ?1 || subject, sum(turns), sum(tokens), sum(cost) FROM (
  SELECT 'host' AS subject, turns, tokens, cost FROM today
  UNION ALL SELECT 'namespace/' || namespace, turns, tokens, cost FROM today
  UNION ALL SELECT 'person/' || namespace || '/' || person, turns, tokens, cost FROM today
  UNION ALL SELECT 'agent/' || namespace || '/' || agent, turns, tokens, cost FROM today WHERE agent <> ''
) WHERE true GROUP BY subject
ON CONFLICT (task) DO UPDATE SET turns = max(turns, excluded.turns), tokens = max(tokens, excluded.tokens),
  cost = max(cost, excluded.cost)

-- name: files
SELECT path, digest FROM files WHERE workspace = ? ORDER BY path

-- name: definition
SELECT body FROM definitions WHERE digest = ?

-- name: manifests
SELECT name, body FROM manifests WHERE namespace = ? AND kind = ? ORDER BY name

-- name: person
SELECT id, role, created, name, namespace, password, subject, disabled FROM people WHERE id = ?

-- name: person_of
SELECT id, role, created, name, namespace, password, subject, disabled FROM people WHERE subject = ? AND subject > ''

-- name: people
SELECT id, role, created, name, namespace, password, subject, disabled FROM people WHERE namespace = ? ORDER BY id

-- name: put_person
INSERT OR REPLACE INTO people (id, role, created, name, namespace, password, subject, disabled) VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: subject_taken
SELECT 1 FROM people WHERE subject = ? AND subject > '' AND id <> ?

-- name: delete_person
DELETE FROM people WHERE id = ?

-- name: delete_keys
DELETE FROM keys WHERE person = ?

-- name: key
SELECT id, person, digest, created, name, rights, expires, hint, session, maker FROM keys WHERE digest = ?

-- name: keys
SELECT id, person, digest, created, name, rights, expires, hint, session, maker FROM keys WHERE person = ?

-- name: put_key
INSERT OR REPLACE INTO keys (id, person, digest, created, name, rights, expires, hint, session, maker) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: extend_key
UPDATE keys SET expires = ? WHERE id = ?

-- name: delete_key
DELETE FROM keys WHERE id IN (
    WITH RECURSIVE gone (id) AS (
        SELECT id FROM keys WHERE person = ? AND id = ?
        UNION
        SELECT keys.id FROM keys JOIN gone ON keys.maker = gone.id WHERE keys.maker <> ''
    )
    SELECT id FROM gone
)

-- name: sweep_keys
DELETE FROM keys WHERE expires > 0 AND expires <= ?

-- name: note_deed
INSERT INTO deeds (at, person, what, thing, via, address, outcome, namespace) VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: deeds
SELECT at, person, what, thing, via, address, outcome, namespace, place FROM deeds
WHERE namespace = ?1 AND (?2 = '' OR person = ?2) AND (?3 = '' OR what = ?3) AND (?4 = '' OR thing = ?4)
  AND place < ?5
ORDER BY place DESC LIMIT ?6

-- name: own_file
INSERT INTO given_files (namespace, person, digest, at) VALUES (?, ?, ?, (julianday('now') - 2440587.5) * 86400.0)
ON CONFLICT DO UPDATE SET at = excluded.at

-- name: has_file
SELECT EXISTS (SELECT 1 FROM given_files WHERE namespace = ?1 AND digest = ?3 AND (?2 = '' OR person = ?2))
  OR EXISTS (SELECT 1 FROM files JOIN tasks ON tasks.id = files.workspace
    WHERE files.digest = ?3 AND tasks.namespace = ?1 AND (?2 = '' OR tasks.person = ?2))

-- name: put_webhook
INSERT OR REPLACE INTO webhooks (id, person, url, created, namespace, events, task, disabled)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: webhook
SELECT id, person, url, created, namespace, events, task, disabled FROM webhooks WHERE id = ?

-- name: webhooks_of
SELECT id, person, url, created, namespace, events, task, disabled FROM webhooks
WHERE namespace = ? AND person = ? ORDER BY created, id

-- name: disable_webhook
UPDATE webhooks SET disabled = ? WHERE id = ?

-- name: delete_webhook
DELETE FROM webhooks WHERE id = ?

-- name: delete_deliveries_of
DELETE FROM deliveries WHERE webhook = ?

-- name: marks
SELECT task, seq, seen, at FROM webhook_marks WHERE seq > seen ORDER BY task LIMIT ?

-- name: see_mark
UPDATE webhook_marks SET seen = max(seen, ?) WHERE task = ?

-- name: forget_mark
DELETE FROM webhook_marks WHERE task = ? AND seq <= seen AND EXISTS (SELECT 1 FROM tasks WHERE id = task AND ended = 1)

-- name: unmark_told
DELETE FROM webhook_marks WHERE task = ?

-- name: add_delivery
INSERT OR IGNORE INTO deliveries (id, webhook, root, event, at, body, state, attempts, due, status, reason)
SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM webhooks WHERE id = ?)

-- name: take_deliveries
UPDATE deliveries SET due = ?2 WHERE place IN (
    SELECT d.place FROM deliveries AS d JOIN webhooks AS w ON w.id = d.webhook AND w.disabled = ''
    WHERE d.state = 'waiting' AND d.due <= ?1 AND NOT EXISTS (
        SELECT 1 FROM deliveries AS e
        WHERE e.state = 'waiting' AND e.webhook = d.webhook AND e.root = d.root AND e.place < d.place
    ) AND w.namespace || '/' || w.person NOT IN (SELECT value FROM json_each(?4))
    ORDER BY d.due, d.place LIMIT ?3
)
RETURNING id, webhook, root, event, at, body, state, attempts, due, status, reason, place

-- name: next_due
SELECT d.due FROM deliveries AS d JOIN webhooks AS w ON w.id = d.webhook AND w.disabled = ''
WHERE d.state = 'waiting' AND d.due >= 0 AND w.namespace || '/' || w.person NOT IN (SELECT value FROM json_each(?1)) AND NOT EXISTS (
    SELECT 1 FROM deliveries AS e
    WHERE e.state = 'waiting' AND e.webhook = d.webhook AND e.root = d.root AND e.place < d.place
)
ORDER BY d.due LIMIT 1

-- name: settle_delivery
UPDATE deliveries SET state = ?, attempts = ?, due = ?, status = ?, reason = ? WHERE id = ?

-- name: deliveries
SELECT id, webhook, root, event, at, body, state, attempts, due, status, reason, place FROM deliveries
WHERE webhook = ? AND place < ? ORDER BY place DESC LIMIT ?

-- name: prune_deliveries
DELETE FROM deliveries WHERE state <> 'waiting' AND at < ?

-- name: ended_before
SELECT id FROM tasks WHERE ended = 1 AND parent = '' AND updated < ? ORDER BY updated, id LIMIT ?

-- name: roots_of
SELECT id FROM tasks WHERE id > ?3 AND +namespace = ?1 AND (?2 = '' OR person = ?2) AND parent = ''
ORDER BY id LIMIT ?4

-- name: begin_erasing
INSERT OR IGNORE INTO erasing (root, at) VALUES (?, (julianday('now') - 2440587.5) * 86400.0)

-- name: erasing
SELECT root FROM erasing ORDER BY root

-- name: end_erasing
DELETE FROM erasing WHERE root = ?

-- name: doom_files
INSERT OR IGNORE INTO doomed_files (digest, namespace, person)
SELECT ?2, namespace, person FROM tasks WHERE id = ?1

-- name: doom_files_of
INSERT OR IGNORE INTO doomed_files (digest, namespace, person)
SELECT files.digest, tasks.namespace, tasks.person FROM tasks JOIN files ON workspace >= ?1 AND workspace < ?1 || '/'
WHERE tasks.id = ?1

-- name: doom_gifts_before
INSERT OR IGNORE INTO doomed_files (digest, namespace, person)
SELECT digest, namespace, person FROM given_files WHERE at < ?1 AND at > ?2 ORDER BY at LIMIT ?3

-- name: last_of_gifts
SELECT max(at) FROM (SELECT at FROM given_files WHERE at < ?1 AND at > ?2 ORDER BY at LIMIT ?3)

-- name: doom_gifts_of
INSERT OR IGNORE INTO doomed_files (digest, namespace, person)
SELECT digest, '', '' FROM given_files WHERE namespace = ?1 AND (?2 = '' OR person = ?2)

-- name: doomed_files
SELECT DISTINCT digest FROM doomed_files WHERE digest > ? ORDER BY digest LIMIT ?

-- name: spare_file
DELETE FROM doomed_files WHERE digest = ?

-- name: release_gifts
DELETE FROM given_files WHERE digest = ?1 AND at < ?2 AND EXISTS (SELECT 1 FROM doomed_files AS d
  WHERE d.digest = ?1 AND d.namespace = given_files.namespace AND d.person = given_files.person)

-- name: decide_ledger
UPDATE ledger SET spent_turns = worst_turns, spent_tokens = worst_tokens, spent_cost = worst_cost, settled = 2
WHERE root = ? AND settled = 0

-- name: forget_person_in_usage
INSERT INTO usage (namespace, day, person, agent, model, calls, tokens, cost, open, unpriced)
SELECT namespace, day, '', agent, model, calls, tokens, cost, open, unpriced FROM usage
WHERE namespace = ?1 AND person = ?2
ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, tokens = tokens + excluded.tokens, cost = cost + excluded.cost,
  open = open + excluded.open, unpriced = unpriced + excluded.unpriced

-- name: delete_usage
DELETE FROM usage WHERE namespace = ?1 AND (?2 = '' OR person = ?2)

-- name: erase_ledger
DELETE FROM ledger WHERE root = ?

-- name: erase_some_events
DELETE FROM events WHERE rowid IN (SELECT rowid FROM events WHERE task >= ?1 AND task < ?1 || '/' LIMIT ?2)

-- name: erase_inbox
DELETE FROM inbox WHERE task >= ?1 AND task < ?1 || '/'

-- Calls that no task made, of somebody (or of everybody in a namespace), or older ones.
-- name: decide_loose_of
UPDATE ledger SET spent_turns = worst_turns, spent_tokens = worst_tokens, spent_cost = worst_cost, settled = 2
WHERE root = '' AND settled = 0 AND namespace = ?1 AND (?2 = '' OR person = ?2)

-- name: erase_loose_of
DELETE FROM ledger WHERE root = '' AND namespace = ?1 AND (?2 = '' OR person = ?2)

-- name: decide_loose_before
UPDATE ledger SET spent_turns = worst_turns, spent_tokens = worst_tokens, spent_cost = worst_cost, settled = 2
WHERE root = '' AND settled = 0 AND at < ?

-- name: erase_loose_before
DELETE FROM ledger WHERE root = '' AND at < ?

-- name: erase_accounts
DELETE FROM accounts WHERE task >= ?1 AND task < ?1 || '/'

-- name: erase_files
DELETE FROM files WHERE workspace >= ?1 AND workspace < ?1 || '/'

-- name: erase_pushes
DELETE FROM pushes WHERE task >= ?1 AND task < ?1 || '/'

-- name: erase_marks
DELETE FROM webhook_marks WHERE task >= ?1 AND task < ?1 || '/'

-- name: erase_deliveries
DELETE FROM deliveries WHERE root = ?

-- name: erase_tasks
DELETE FROM tasks WHERE id >= ?1 AND id < ?1 || '/'

-- name: waiting_bodies
SELECT body FROM inbox WHERE task >= ?1 AND task < ?1 || '/' AND body IS NOT NULL

-- name: bodies_between
SELECT body FROM events WHERE rowid > ? AND rowid <= ? AND instr(body, 'sha256:') > 0

-- name: last_row
SELECT max(rowid) FROM events

-- name: bodies_that_wait
SELECT body FROM inbox INDEXED BY inbox_waiting WHERE body IS NOT NULL AND task > ''

-- name: is_held
SELECT EXISTS (SELECT 1 FROM files WHERE digest = ?1) OR EXISTS (SELECT 1 FROM thing_files WHERE digest = ?1)
  OR EXISTS (SELECT 1 FROM line_files WHERE digest = ?1)
  OR EXISTS (SELECT 1 FROM schedule_files WHERE digest = ?1)

-- name: is_given
SELECT EXISTS (SELECT 1 FROM given_files WHERE digest = ?)

-- name: forget_gifts_of
DELETE FROM given_files WHERE namespace = ?1 AND (?2 = '' OR person = ?2)

-- name: erase_manifests
DELETE FROM manifests WHERE namespace = ?

-- name: erase_versions
DELETE FROM manifest_versions WHERE namespace = ?

-- name: answers_that_name
SELECT key, instr(body, ?2) + instr(head, ?2) FROM given_answers WHERE key > ?1 ORDER BY key LIMIT ?3

-- name: erase_answers_of
DELETE FROM given_answers WHERE key >= ?1 AND key < ?1 || 'g'

-- name: still_going
SELECT id FROM tasks WHERE id >= ?1 AND id < ?1 || '/' AND ended = 0 AND (id = ?1 OR hold = '') LIMIT 1

-- name: whose_task
SELECT namespace, person FROM tasks WHERE id = ?

-- name: manifest_versions
SELECT number, at, body FROM manifest_versions WHERE namespace = ? AND kind = ? AND name = ? AND number < ?
ORDER BY number DESC LIMIT ?

-- name: given_answer
SELECT fingerprint, maker, at, status, head, body FROM given_answers WHERE key = ?

-- name: put_answer
INSERT OR REPLACE INTO given_answers (key, fingerprint, maker, at, status, head, body) VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: forget_answer
DELETE FROM given_answers WHERE key = ?

-- name: sweep_answers
DELETE FROM given_answers WHERE at < ?

-- name: changed_settings
SELECT name, value FROM changed_settings

-- name: change_setting
INSERT OR REPLACE INTO changed_settings (name, value) VALUES (?, ?)

-- name: setting_as_given
DELETE FROM changed_settings WHERE name = ?

-- name: newest_event
SELECT coalesce(max(rowid), 0) FROM events

-- name: placed_events
SELECT events.rowid, task, events.seq, at, events.kind, version, body FROM events CROSS JOIN tasks ON tasks.id = events.task
WHERE events.rowid > ?1 AND events.rowid <= ?2 AND namespace = ?3 AND (?4 = '' OR person = ?4)
ORDER BY events.rowid LIMIT ?5

-- name: put_push
INSERT OR REPLACE INTO pushes
  (task, id, url, namespace, person, created, agent, base, token, scheme, credentials, version, seen, done)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: pushes_of
SELECT task, id, url, namespace, person, created, agent, base, token, scheme, credentials, version, seen, done
FROM pushes WHERE task = ?

-- name: pushes_open
SELECT task, id, url, namespace, person, created, agent, base, token, scheme, credentials, version, seen, done
FROM pushes WHERE done = 0

-- name: push_told
UPDATE pushes SET seen = ?3, done = ?4 WHERE task = ?1 AND id = ?2

-- name: delete_push
DELETE FROM pushes WHERE task = ? AND id = ?

-- name: unfinished
SELECT state, hold, count(*), min(created) FROM tasks WHERE ended = 0 GROUP BY 1, 2

-- name: held
SELECT id, reason FROM tasks WHERE ended = 0 AND hold = 'dead-letter' AND hold > '' ORDER BY created DESC, id DESC LIMIT ?

-- name: quiet
SELECT id FROM tasks AS quiet
WHERE ended = 0 AND hold = '' AND state = 'working' AND updated < ?
    AND NOT EXISTS (SELECT 1 FROM tasks AS below WHERE below.id > quiet.id || '.' AND below.id < quiet.id || '/' AND below.ended = 0)
ORDER BY updated, id LIMIT ?

-- name: last_event
SELECT at FROM events ORDER BY rowid DESC LIMIT 1

-- name: expiring
SELECT sum(expires <= ?), sum(expires > ? AND expires <= ?) FROM keys WHERE expires > 0 AND session = 0

-- name: open_tasks
SELECT state, COUNT(*) FROM tasks WHERE ended = 0 GROUP BY state

-- name: held_tasks
SELECT hold, COUNT(*) FROM tasks WHERE ended = 0 AND hold > '' GROUP BY hold

-- name: put_thing
INSERT INTO things (kind, id, namespace, person, created, body, within, files) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body RETURNING place

-- name: hold_file
INSERT OR IGNORE INTO thing_files (digest, place) VALUES (?, ?)

-- name: thing
SELECT kind, id, namespace, person, created, body, within, files, place FROM things WHERE kind = ? AND id = ?

-- name: things_after
SELECT kind, id, namespace, person, created, body, within, files, place FROM things
WHERE namespace = ? AND person = ? AND kind = ? AND within = ? AND place > ? ORDER BY place LIMIT ?

-- name: things_before
SELECT kind, id, namespace, person, created, body, within, files, place FROM things
WHERE namespace = ? AND person = ? AND kind = ? AND within = ? AND place < ? ORDER BY place DESC LIMIT ?

-- name: count_things
SELECT count(*) FROM things WHERE namespace = ? AND person = ? AND kind = ? AND within = ?

-- name: delete_thing
DELETE FROM things WHERE kind = ? AND id = ?

-- name: delete_within
DELETE FROM things WHERE within = ? AND within > ''

-- name: delete_things_of
DELETE FROM things WHERE namespace = ?1 AND (?2 = '' OR person = ?2)

-- name: put_grant
INSERT OR IGNORE INTO grants (id, namespace, person, kind, name, tool, by_whom, at, rules, anything, untrusted, via, task, question, note, uses, used)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: grant
SELECT id, namespace, person, kind, name, tool, by_whom, at, rules, anything, untrusted, via, task, question, note, uses, used
FROM grants WHERE id = ?

-- name: grants_of
SELECT id, namespace, person, kind, name, tool, by_whom, at, rules, anything, untrusted, via, task, question, note, uses, used
FROM grants WHERE namespace = ? AND person = ? ORDER BY at DESC, id DESC

-- name: grants_of_all
SELECT id, namespace, person, kind, name, tool, by_whom, at, rules, anything, untrusted, via, task, question, note, uses, used
FROM grants WHERE namespace = ? ORDER BY at DESC, id DESC

-- name: grants_for
SELECT id, namespace, person, kind, name, tool, by_whom, at, rules, anything, untrusted, via, task, question, note, uses, used
FROM grants WHERE namespace = ? AND person = ? AND kind = ? AND name = ? AND tool = ? ORDER BY at DESC, id DESC

-- name: use_grant
INSERT OR IGNORE INTO grant_uses (grant_id, task, question, seq, at)
SELECT ?1, ?2, ?3, ?4, ?5 FROM grants WHERE grants.id = ?1

-- name: count_grant
UPDATE grants SET uses = uses + 1, used = max(used, ?) WHERE id = ?

-- name: grant_uses
SELECT task, question, seq, at FROM grant_uses WHERE grant_id = ? ORDER BY at DESC, task DESC, question DESC LIMIT ?

-- name: delete_grant
DELETE FROM grants WHERE id = ?

-- name: delete_grants_of
DELETE FROM grants WHERE namespace = ?1 AND (?2 = '' OR person = ?2 OR by_whom = ?2)

-- name: thread
SELECT number, place FROM conversations WHERE namespace = ? AND person = ? AND conversation = ?

-- name: add_thread
INSERT INTO conversations (namespace, person, conversation, channel, at, place) VALUES (?, ?, ?, ?, ?, 0)

-- name: touch_thread
UPDATE conversations SET at = ?2, place = ?3, channel = iif(?4 = '', channel, ?4) WHERE number = ?1

-- name: add_line
INSERT OR IGNORE INTO lines (thread, id, namespace, person, speaker, channel, task, question, state, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: change_line
UPDATE lines SET task = ?2, question = ?3, state = ?4, body = ?5 WHERE place = ?1

-- name: line
SELECT place, state, body FROM lines WHERE place = ?

-- name: line_of
SELECT place, state, body FROM lines WHERE thread = ? AND id = ?

-- name: line_shown
SELECT lines.place, state, body FROM shown_lines JOIN lines ON lines.place = shown_lines.place WHERE shown_lines.thread = ? AND shown_lines.id = ?

-- name: add_shown
INSERT OR REPLACE INTO shown_lines (thread, id, place) SELECT thread, ?2, place FROM lines WHERE place = ?1

-- name: forget_shown
DELETE FROM shown_lines WHERE place = ?

-- name: lines_of_thread
SELECT place, state, body FROM lines WHERE thread = ?1 AND place > ?2 AND (?3 = '' OR speaker = ?3) AND (?4 = '' OR task = ?4)
ORDER BY place LIMIT ?5

-- name: last_lines_of_thread
SELECT place, state, body FROM lines WHERE thread = ?1 AND place > ?2 AND (?3 = '' OR speaker = ?3) AND (?4 = '' OR task = ?4)
ORDER BY place DESC LIMIT ?5

-- name: lines_of_task
SELECT place, state, body FROM lines WHERE task = ?1 AND place > ?2 AND (?3 = '' OR speaker = ?3) ORDER BY place LIMIT ?4

-- name: last_lines_of_task
SELECT place, state, body FROM lines WHERE task = ?1 AND place > ?2 AND (?3 = '' OR speaker = ?3) ORDER BY place DESC LIMIT ?4

-- name: lines_of_person
SELECT place, state, body FROM lines
WHERE namespace = ?1 AND person = ?2 AND place > ?3 AND (?4 = '' OR channel = ?4) AND (?5 = '' OR speaker = ?5) ORDER BY place LIMIT ?6

-- name: last_lines_of_person
SELECT place, state, body FROM lines
WHERE namespace = ?1 AND person = ?2 AND place > ?3 AND (?4 = '' OR channel = ?4) AND (?5 = '' OR speaker = ?5) ORDER BY place DESC LIMIT ?6

-- name: lines_unfiled
SELECT place, state, body FROM lines WHERE thread = ? AND speaker = ? AND state <> 'filed' ORDER BY place

-- name: open_questions
SELECT place, state, body FROM lines WHERE task = ?1 AND speaker = 'host' AND state = 'asked' ORDER BY place

-- name: count_questions
SELECT count(*) FROM lines WHERE thread = ? AND speaker = 'host' AND state <> 'filed'

-- name: settle_questions
UPDATE lines SET state = 'filed' WHERE task = ?1 AND speaker = 'host' AND state = 'asked' AND question = ?2

-- name: settle_all_questions
UPDATE lines SET state = 'filed' WHERE task = ?1 AND speaker = 'host' AND state = 'asked'

-- name: threads_behind
SELECT namespace, person, conversation FROM conversations
WHERE number IN (SELECT thread FROM lines WHERE speaker = 'person' AND state <> 'filed') ORDER BY number

-- name: set_topic
INSERT INTO topics (task, thread, ended, place)
VALUES (?1, ?2, coalesce((SELECT ended FROM tasks WHERE id = ?1), 0), ?3)
ON CONFLICT (task) DO UPDATE SET place = max(place, excluded.place)

-- name: topic
SELECT namespace, person, conversation FROM topics JOIN conversations ON number = thread WHERE task = ?

-- name: topics_spoken_of
SELECT task, place FROM topics WHERE thread = ? AND ended = ? ORDER BY place DESC LIMIT ?

-- name: topics_with_word
SELECT task FROM topic_words WHERE thread = ? AND word = ? LIMIT ?

-- name: topic_place
SELECT place FROM topics WHERE task = ? AND thread = ?

-- name: count_topics
SELECT count(*) FROM topics WHERE thread = ? AND ended = 0

-- name: add_word
INSERT OR IGNORE INTO topic_words (thread, word, task) VALUES (?, ?, ?)

-- name: count_words
SELECT count(*) FROM topic_words WHERE task = ?

-- name: add_line_file
INSERT OR IGNORE INTO line_files (digest, place) VALUES (?, ?)

-- name: conversations_of
SELECT conversation, channel, at, place, number FROM conversations WHERE namespace = ? AND person = ? ORDER BY place DESC LIMIT ?

-- name: line_marks
SELECT task, seq, seen FROM line_marks WHERE seq > seen ORDER BY task LIMIT ?

-- name: see_line_mark
UPDATE line_marks SET seen = max(seen, ?) WHERE task = ?

-- name: forget_line_mark
DELETE FROM line_marks WHERE task = ? AND seq <= seen AND EXISTS (SELECT 1 FROM tasks WHERE id = task AND ended = 1)

-- name: erase_lines
DELETE FROM lines WHERE task = ?

-- name: erase_topic
DELETE FROM topics WHERE task = ?

-- name: erase_line_marks
DELETE FROM line_marks WHERE task >= ?1 AND task < ?1 || '/'

-- name: forget_lines_of
DELETE FROM lines WHERE thread IN (SELECT number FROM conversations WHERE namespace = ?1 AND (?2 = '' OR person = ?2))

-- name: forget_topics_of
DELETE FROM topics WHERE thread IN (SELECT number FROM conversations WHERE namespace = ?1 AND (?2 = '' OR person = ?2))

-- name: forget_threads_of
DELETE FROM conversations WHERE namespace = ?1 AND (?2 = '' OR person = ?2)
-- name: add_schedule
INSERT OR IGNORE INTO schedules (id, name, person, created, spec, namespace, manifest, revision, due, state, why, runs, looked, whose)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: schedule
SELECT id, name, person, created, spec, namespace, manifest, revision, due, state, why, runs, looked FROM schedules WHERE id = ?

-- name: schedules_of
SELECT id, name, person, created, spec, namespace, manifest, revision, due, state, why, runs, looked FROM schedules
WHERE namespace = ? AND person = ? ORDER BY name

-- name: schedules_in
SELECT id, name, person, created, spec, namespace, manifest, revision, due, state, why, runs, looked FROM schedules
WHERE namespace = ? ORDER BY whose, name

-- name: change_schedule
UPDATE OR IGNORE schedules SET name = ?, person = ?, spec = ?, due = ?, state = ?, why = ?, runs = ?, looked = ?, revision = revision + 1
WHERE id = ? AND revision = ?

-- name: delete_schedule
DELETE FROM schedules WHERE id = ?

-- name: forget_schedules
DELETE FROM schedules WHERE namespace = ?1 AND (?2 = '' OR person = ?2)

-- name: hold_scheduled_file
INSERT OR IGNORE INTO schedule_files (digest, schedule) VALUES (?, ?)

-- name: let_go_scheduled_files
DELETE FROM schedule_files WHERE schedule = ?

-- name: doom_scheduled_files
INSERT OR IGNORE INTO doomed_files (digest, namespace, person) SELECT digest, '', '' FROM schedule_files WHERE schedule = ?

-- name: due_schedules
SELECT id, name, person, created, spec, namespace, manifest, revision, due, state, why, runs, looked FROM schedules
WHERE due IS NOT NULL AND due <= ? ORDER BY due LIMIT ?

-- name: schedules_from_later
SELECT id, name, person, created, spec, namespace, manifest, revision, due, state, why, runs, looked FROM schedules
WHERE due IS NOT NULL AND looked > ? ORDER BY looked LIMIT ?

-- name: next_schedule
SELECT due FROM schedules WHERE due IS NOT NULL ORDER BY due LIMIT 1

-- name: put_run
INSERT INTO schedule_runs (schedule, due, state, at, person, late, manual, body, task, why, until, count, missed)
SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM schedules WHERE id = ?)
ON CONFLICT (schedule, due, missed) DO UPDATE SET until = excluded.until, count = excluded.count
WHERE missed = 1 AND excluded.count > count

-- name: begin_run
UPDATE schedule_runs SET state = 'starting' WHERE schedule = ?1 AND due = ?2 AND missed = 0 AND state = 'waiting' AND (?3 = 0 OR NOT EXISTS (
    SELECT 1 FROM schedule_runs AS r WHERE r.schedule = ?1 AND r.state IN ('starting', 'started')
))

-- name: settle_run
UPDATE schedule_runs SET state = ?3, task = ?4, why = ?5, body = CASE WHEN ?3 IN ('waiting', 'starting') THEN body ELSE x'' END
WHERE schedule = ?1 AND due = ?2 AND missed = 0 AND state IN ('waiting', 'starting', 'started')

-- name: open_runs
SELECT schedule, due, state, at, person, late, manual, body, task, why, until, count FROM schedule_runs INDEXED BY schedule_runs_open
WHERE state IN ('waiting', 'starting', 'started') AND schedule > '' ORDER BY schedule, due

-- name: runs_before
SELECT schedule, due, state, at, person, late, manual, body, task, why, until, count FROM schedule_runs
WHERE schedule = ? AND due < ? ORDER BY due DESC, missed DESC LIMIT ?

-- name: trim_runs
DELETE FROM schedule_runs WHERE schedule = ?1 AND state NOT IN ('waiting', 'starting', 'started') AND due < (
    SELECT due FROM schedule_runs WHERE schedule = ?1 ORDER BY due DESC LIMIT 1 OFFSET ?2
)

-- name: sweep_schedules
DELETE FROM schedules WHERE state = 'done' AND manifest = 0 AND looked < ?

-- name: meaning
SELECT text, vector FROM meanings WHERE task = ? AND model = ?

-- name: put_meaning
INSERT INTO meanings (task, thread, model, text, signs, vector)
SELECT task, thread, ?2, ?3, ?4, ?5 FROM topics WHERE task = ?1
ON CONFLICT (task) DO UPDATE SET model = excluded.model, text = excluded.text, signs = excluded.signs, vector = excluded.vector

-- name: meanings_of
SELECT task, signs FROM meanings WHERE thread = ? AND model = ?
