"""The SQL of the SQLite store. A list is one JSON parameter, so that no text ever changes.

`payment.*` and `instruction.*` are the version and then the fields of the struct, in their order;
a numbered parameter is the field at that place. JSON and not carray: equally fast (0.53 and
0.49 us a row), and exact for a text with a NUL inside.
"""

from __future__ import annotations

HARDEN = """
PRAGMA busy_timeout = 5000;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA trusted_schema = OFF;
PRAGMA recursive_triggers = ON;
PRAGMA mmap_size = 0;
PRAGMA cache_size = -65536;
PRAGMA wal_autocheckpoint = 4000;
"""
BEGIN = "BEGIN IMMEDIATE"
COMMIT = "COMMIT"
ROLLBACK = "ROLLBACK"

HAS_TABLES = "SELECT 1 FROM sqlite_schema LIMIT 1"
HAS_MIGRATIONS = "SELECT 1 FROM sqlite_schema WHERE name = 'migration'"
APPLIED = "SELECT number, sha256 FROM migration ORDER BY number"
INSERT_MIGRATION = "INSERT INTO migration VALUES (?, ?, ?, ?)"

RAISE_INCARNATION = """
UPDATE engine SET incarnation = incarnation + 1, now = max(now, ?) RETURNING incarnation, now
"""
VOID_LEASES = """
UPDATE instruction INDEXED BY instruction_due
SET version = version + 1, due_at = ?, lease = lease + 1
WHERE due_at IS NOT NULL AND state = 'sent'
"""
# The process that marked them is dead, so no byte leaves after now; and its clock may have been
# another one, so that `leave_by` alone would make an attempt look dead that still travels.
LEAVE_BY_NOW = """
UPDATE instruction INDEXED BY instruction_due
SET version = version + 1, leave_by = ?1
WHERE due_at IS NOT NULL AND leave_by < ?1 AND state <> 'accepted'
"""
ENTER = "UPDATE engine SET now = max(now, ?) WHERE incarnation = ? RETURNING now"

# What a batch loads.

PAYMENTS = """
SELECT payment.* FROM json_each(?) AS wanted
CROSS JOIN payment ON payment.payment_id = wanted.value
"""
INSTRUCTIONS = """
SELECT instruction.* FROM json_each(?) AS wanted
CROSS JOIN instruction ON instruction.instruction_id = wanted.value
"""
INSTRUCTIONS_OF = """
SELECT instruction.* FROM json_each(?) AS wanted
CROSS JOIN instruction ON instruction.payment_id = wanted.value
"""
NUMBERS = """
SELECT number, instruction_id FROM json_each(?1) AS wanted
CROSS JOIN old_number ON number = wanted.value
UNION ALL
SELECT number, instruction_id FROM json_each(?1) AS wanted
CROSS JOIN instruction ON number = wanted.value
"""
RECEIPTS = """
SELECT receipt.* FROM json_each(?) AS wanted CROSS JOIN receipt ON receipt.key = wanted.value
"""
FACTS = """
SELECT fact.* FROM json_each(?) AS wanted CROSS JOIN fact ON fact.fact_id = wanted.value
"""
CASES = """
SELECT operator_case.* FROM json_each(?) AS wanted
CROSS JOIN operator_case ON operator_case.case_id = wanted.value
"""
CASES_OF = """
SELECT operator_case.* FROM json_each(?) AS wanted
CROSS JOIN operator_case ON case_id > wanted.value || '/' AND case_id < wanted.value || '0'
"""
LINES = """
SELECT line.* FROM json_each(?) AS wanted
CROSS JOIN line ON line.source = wanted.value ->> 0 AND line.number = wanted.value ->> 1
"""
NONCES = """
SELECT nonce_id, digest FROM json_each(?) AS wanted CROSS JOIN nonce ON nonce_id = wanted.value
"""
HOLDS = "SELECT scope FROM hold ORDER BY scope"
QUARANTINED = """
SELECT object_id FROM operator_case WHERE kind = 'quarantined' AND closed_at IS NULL
ORDER BY object_id
"""
LAST_POSITION = "SELECT coalesce(max(position), 0) FROM event"

# What a batch saves.

INSERT_PAYMENT = """
INSERT INTO payment VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
    ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29)
"""
UPDATE_PAYMENT = """
UPDATE payment SET version = version + 1, state = ?11, authorized = ?12, capture_in_flight = ?13,
    captured = ?14, void_in_flight = ?15, voided = ?16, reserved = ?17, refunded = ?18,
    charged_back = ?19, excess = ?20, refunds = ?21, unknown = ?22, closing = ?23, paid_at = ?24,
    captured_at = ?25, refund_sent_at = ?26, expires_at = ?27, reference = ?28, sequence = ?29
WHERE payment_id = ?1 AND version = ?30
"""
INSERT_INSTRUCTION = """
INSERT INTO instruction VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
    ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31)
"""
# Without the number: naming it here would write its index again with every step.
UPDATE_INSTRUCTION = """
UPDATE instruction SET version = version + 1, state = ?14, withdrawal = ?17, waiting = ?18,
    sequence = ?19, due_at = ?20, deadline_at = ?21, lease = ?22, attempt = ?23, sent_at = ?24,
    leave_by = ?25, in_doubt = ?26, known_at = ?27, final_at = ?28, reference = ?29, failure = ?30,
    fruitless = ?31
WHERE instruction_id = ?1 AND version = ?32
"""
RENUMBER = "UPDATE instruction SET number = ?, generation = ? WHERE instruction_id = ?"
INSERT_OLD_NUMBER = "INSERT INTO old_number VALUES (?, ?)"
INSERT_REFERENCE = "INSERT INTO merchant_reference VALUES (?, ?)"
INSERT_NONCE = "INSERT INTO nonce VALUES (?, ?, ?)"
# As many go as come, and more; of those whose signature is long stale.
FORGET_NONCES = """
DELETE FROM nonce WHERE nonce_id IN (
    SELECT nonce_id FROM nonce WHERE seen_at < ? ORDER BY seen_at LIMIT ?)
"""
INSERT_RECEIPT = "INSERT INTO receipt VALUES (?, ?, ?)"
INSERT_EVENT = "INSERT INTO event VALUES (?, ?, ?, ?)"
INSERT_ENTRY = "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
ADD_TO_BALANCE = """
INSERT INTO account VALUES (?, ?, ?)
ON CONFLICT (account, currency) DO UPDATE SET balance = balance + excluded.balance
"""
INSERT_FACT = "INSERT INTO fact VALUES (?, ?, ?, ?, ?, ?, ?)"
UPDATE_FACT = "UPDATE fact SET state = ?6, booked_at = ?7 WHERE fact_id = ?1"
INSERT_CASE = "INSERT INTO operator_case VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
CLOSE_CASE = "UPDATE operator_case SET closed_at = ?7, closed_by = ?8 WHERE case_id = ?1"
PARK = """
INSERT INTO parked VALUES (?, ?, ?, ?)
ON CONFLICT (notice_id) DO UPDATE SET due_at = excluded.due_at
"""
HOLD = "INSERT INTO hold VALUES (?) ON CONFLICT (scope) DO NOTHING"
UNHOLD = "DELETE FROM hold WHERE scope = ?"
INSERT_LINE = "INSERT INTO line VALUES (?, ?, ?)"

# What the loops of the engine ask for.

DUE = """
SELECT instruction.* FROM instruction
WHERE channel = ?1 AND due_at <= ?2
  AND NOT (
    (waiting = 'redirect' OR (state = 'accepted' AND coalesce(deadline_at > ?2, 1)))
    AND EXISTS (SELECT 1 FROM hold WHERE scope IN (
        'all', 'channel:' || channel,
        'merchant:' || substr(instruction_id, 1, instr(instruction_id, '/') - 1))))
  AND instruction_id NOT IN (
    SELECT object_id FROM operator_case WHERE kind = 'quarantined' AND closed_at IS NULL)
  AND payment_id NOT IN (
    SELECT object_id FROM operator_case WHERE kind = 'quarantined' AND closed_at IS NULL)
ORDER BY due_at, rowid LIMIT ?3
"""
# The same, where nothing is on hold and nothing is quarantined: that is nearly always.
DUE_PLAIN = """
SELECT instruction.* FROM instruction
WHERE channel = ?1 AND due_at <= ?2 ORDER BY due_at, instruction_id LIMIT ?3
"""
NEXT_DUE_PLAIN = """
SELECT min(at) FROM (
    SELECT (SELECT min(due_at) FROM instruction
            WHERE due_at IS NOT NULL AND channel = served.value) AS at
    FROM json_each(?1) AS served
    UNION ALL SELECT min(expires_at) FROM payment
    WHERE expires_at IS NOT NULL AND state IN ('created', 'pending')
      AND channel IN (SELECT value FROM json_each(?1) AS served)
    UNION ALL SELECT min(due_at) FROM parked
    WHERE due_at IS NOT NULL AND channel IN (SELECT value FROM json_each(?1) AS served))
"""
HAS_EXCEPTIONS = """
SELECT EXISTS (SELECT 1 FROM hold) OR EXISTS (
    SELECT 1 FROM operator_case WHERE kind = 'quarantined' AND closed_at IS NULL)
"""
DUE_PAYMENTS = """
SELECT payment.* FROM payment
WHERE expires_at <= ?1 AND state IN ('created', 'pending')
  AND channel IN (SELECT value FROM json_each(?3) AS served)
  AND payment_id NOT IN (
    SELECT object_id FROM operator_case WHERE kind = 'quarantined' AND closed_at IS NULL)
ORDER BY expires_at, rowid LIMIT ?2
"""
DUE_PARKED = """
SELECT parked.* FROM parked
WHERE due_at <= ?1 AND channel IN (SELECT value FROM json_each(?3) AS served)
  AND coalesce(body ->> '$.fact.payment_id', '') NOT IN (
    SELECT object_id FROM operator_case WHERE kind = 'quarantined' AND closed_at IS NULL)
ORDER BY due_at, notice_id LIMIT ?2
"""
# One look into the index for each channel that is served, however long its queue is. What waits
# for a hold to end is due when its deadline is.
NEXT_DUE = """
WITH quarantined AS MATERIALIZED (
    SELECT object_id FROM operator_case WHERE kind = 'quarantined' AND closed_at IS NULL),
waiting_for_hold AS (
    SELECT instruction_id, max(due_at, deadline_at) AS at FROM instruction
    WHERE EXISTS (SELECT 1 FROM hold) AND due_at IS NOT NULL
      AND channel IN (SELECT value FROM json_each(?1) AS served)
      AND (waiting = 'redirect' OR state = 'accepted')
      AND EXISTS (SELECT 1 FROM hold WHERE scope IN (
        'all', 'channel:' || channel,
        'merchant:' || substr(instruction_id, 1, instr(instruction_id, '/') - 1)))
      AND instruction_id NOT IN quarantined AND payment_id NOT IN quarantined)
SELECT min(at) FROM (
    SELECT (SELECT due_at FROM instruction
            WHERE channel = served.value AND due_at IS NOT NULL
              AND instruction_id NOT IN quarantined AND payment_id NOT IN quarantined
              AND instruction_id NOT IN (SELECT instruction_id FROM waiting_for_hold)
            ORDER BY due_at LIMIT 1) AS at FROM json_each(?1) AS served
    UNION ALL
    SELECT at FROM waiting_for_hold JOIN instruction USING (instruction_id)
    WHERE state = 'accepted'
    UNION ALL
    SELECT (SELECT expires_at FROM payment
            WHERE expires_at IS NOT NULL AND state IN ('created', 'pending')
              AND channel IN (SELECT value FROM json_each(?1) AS served)
              AND payment_id NOT IN quarantined
            ORDER BY expires_at LIMIT 1)
    UNION ALL
    SELECT (SELECT due_at FROM parked
            WHERE due_at IS NOT NULL AND channel IN (SELECT value FROM json_each(?1) AS served)
              AND coalesce(body ->> '$.fact.payment_id', '') NOT IN quarantined
            ORDER BY due_at LIMIT 1))
"""
UNDELIVERED = """
SELECT position, object_id, sequence, body FROM event
WHERE position > coalesce((SELECT position FROM cursor WHERE sink = ?), 0)
ORDER BY position LIMIT ?
"""
ENTRIES_BETWEEN = """
SELECT position, debit, credit, minor, currency FROM entry
WHERE position BETWEEN ? AND ? ORDER BY position, line
"""
ADVANCE = """
INSERT INTO cursor VALUES (?, ?) ON CONFLICT (sink) DO UPDATE SET position = excluded.position
"""
SUSPECT = """
INSERT INTO suspect VALUES (?1, 1) ON CONFLICT (object_id) DO UPDATE SET failures = failures + ?2
"""
SUSPECTS = "SELECT object_id, failures FROM suspect ORDER BY object_id"
CLEAR_SUSPECTS = "DELETE FROM suspect"

# A whole small database.

ALL_PAYMENTS = "SELECT * FROM payment ORDER BY payment_id"
ALL_INSTRUCTIONS = "SELECT * FROM instruction ORDER BY instruction_id"
ALL_RECEIPTS = "SELECT * FROM receipt ORDER BY key"
ALL_FACTS = "SELECT * FROM fact ORDER BY fact_id"
ALL_CASES = "SELECT * FROM operator_case ORDER BY case_id"
ALL_EVENTS = "SELECT position, object_id, sequence, body FROM event ORDER BY position"
ALL_ENTRIES = """
SELECT object_id, sequence, debit, credit, minor, currency FROM entry ORDER BY position, line
"""
ALL_BALANCES = "SELECT account, currency, balance FROM account ORDER BY account, currency"
NOW = "SELECT now FROM engine"
