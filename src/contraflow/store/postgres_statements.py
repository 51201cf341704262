# ruff: noqa: S608 the statements are made of our own words.
"""The SQL of the PostgreSQL store. A list is an array parameter, so that no text ever changes.

Columns are named, so that a newer version may add others while this one serves.
Whatever is locked or inserted is in the order of its name, so that no two batches deadlock; see
decisions/0020.
"""

from __future__ import annotations

from contraflow.domain.instruction import Instruction
from contraflow.domain.payment import Payment

# Rows: the version and then the fields of the struct, in their order.
PAYMENT_ROW = ", ".join(f"payment.{name}" for name in ("version", *Payment.__struct_fields__))
INSTRUCTION_ROW = ", ".join(
    f"instruction.{name}" for name in ("version", *Instruction.__struct_fields__)
)
RECEIPT_ROW = "key, fingerprint, body"
FACT_ROW = "fact_id, kind, payment_id, minor, currency, state, booked_at"
CASE_ROW = "case_id, kind, object_id, opened_at, deadline_at, detail, closed_at, closed_by"

MIGRATION = 0x_C0F3  # An advisory lock, of this program alone.

# Read committed, whatever the database has as its default: what stands after a lock sees what was
# done before it.
READ_COMMITTED = "BEGIN ISOLATION LEVEL READ COMMITTED"
# A table that nothing else touches, not even the preparing of a statement.
BEGIN = (
    f"{READ_COMMITTED}; LOCK TABLE gate IN ROW SHARE MODE; "
    "INSERT INTO commit_marker (batch_id) VALUES ('{batch}')"
)
# A switch waits for the batches that have not seen it, and lets none pass that has not.
BEGIN_ALONE = BEGIN.replace("ROW SHARE", "EXCLUSIVE")
# Without a limit, else a commit that waits for its standby would be broken off and look done.
COMMIT = "SET LOCAL statement_timeout = 0; COMMIT"
ROLLBACK = "ROLLBACK"

# Whoever wrote the row first: the batch itself, or the one who asks whether it is dead.
KILL = "INSERT INTO commit_marker (batch_id, is_dead) VALUES ($1, true) ON CONFLICT DO NOTHING"
IS_DEAD = "SELECT is_dead FROM commit_marker WHERE batch_id = $1"
# A bounded number, passing over those that another process is removing.
FORGET_NONCES = """
DELETE FROM nonce WHERE nonce_id = ANY(ARRAY(
    SELECT nonce_id FROM nonce WHERE seen_at < $1
    ORDER BY seen_at LIMIT 2000 FOR UPDATE SKIP LOCKED))
"""
FORGET_MARKERS = """
DELETE FROM commit_marker WHERE batch_id = ANY(ARRAY(
    SELECT batch_id FROM commit_marker WHERE written_at < clock_timestamp() - interval '7 days'
    ORDER BY written_at LIMIT 2000 FOR UPDATE SKIP LOCKED))
"""

CHECK_SETTINGS = """
SELECT current_setting('server_version_num')::int AS version,
    current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS is_standby
"""
# They may change at any time, by a reload.
UNSAFE = """
ARRAY(SELECT name FROM unnest(ARRAY['fsync', 'full_page_writes', 'synchronous_commit']) AS name
    WHERE current_setting(name) = 'off')
"""
CHECK_SAFETY = f"SELECT {UNSAFE}"
CLOCK = "SELECT clock_ms()"

# Another server or another timeline of it: its clock is another one, and if it is not a copy, so
# are its numbers of transactions.
IS_HOME = """
SELECT system = system_identifier::text AS is_same_system,
    timeline = substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS is_same_timeline
FROM home, pg_control_system()
"""
MOVE_HOME = """
UPDATE home SET system = system_identifier::text,
    timeline = substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
    moved_at = greatest(moved_at, clock_ms())
FROM pg_control_system()
"""
NOTE_MOVE = "UPDATE home SET moved_at = greatest(moved_at, clock_ms())"
RESTART_SEQUENCER = "UPDATE sequencer SET next_xid = '9223372036854775807'"

# What a batch loads. The places of numbers and instructions never change, so that they may be read
# before anything is locked; what is read about a payment is read after it was locked.

NUMBERS = """
SELECT number, instruction_id FROM old_number WHERE number = ANY($1)
UNION ALL SELECT number, instruction_id FROM instruction WHERE number = ANY($1)
"""
HOMES = """
SELECT instruction_id, payment_id, kind FROM instruction WHERE instruction_id = ANY($1)
"""
PAYMENTS = f"""
SELECT {PAYMENT_ROW} FROM payment WHERE payment_id = ANY($1) ORDER BY payment_id FOR NO KEY UPDATE
"""
INSTRUCTIONS = f"""
SELECT {INSTRUCTION_ROW} FROM instruction WHERE instruction_id = ANY($1)
ORDER BY instruction_id FOR NO KEY UPDATE
"""
NAMES_OF = "SELECT instruction_id FROM instruction WHERE payment_id = ANY($1)"
RECEIPTS = f"SELECT {RECEIPT_ROW} FROM receipt WHERE key = ANY($1)"
FACTS = f"SELECT {FACT_ROW} FROM fact WHERE fact_id = ANY($1)"
CASES = f"""
SELECT {CASE_ROW} FROM operator_case WHERE case_id = ANY($1) OR object_id = ANY($2)
"""
NONCES = "SELECT nonce_id, digest FROM nonce WHERE nonce_id = ANY($1)"
LINES = """
SELECT source, number, answer FROM unnest($1::text[], $2::bigint[]) AS wanted (source, number)
JOIN line USING (source, number)
"""
# After the locks: the time, and the batch's number, so that event ids rise with every object.
SURROUNDINGS = f"""
SELECT clock_ms() AS now, nextval('event_block') AS block, (SELECT moved_at FROM home) AS moved_at,
    ARRAY(SELECT scope FROM hold ORDER BY scope) AS holds,
    ARRAY(SELECT object_id FROM operator_case
        WHERE kind = 'quarantined' AND closed_at IS NULL ORDER BY object_id) AS quarantined,
    {UNSAFE} AS unsafe
"""

# What a batch saves.


def columns(types: str) -> str:
    """One array for each column: `t` text, `n` bigint, `b` boolean, `y` bytea.

    >>> columns("tn")
    'unnest($1::text[], $2::bigint[])'
    """
    words = {"t": "text", "n": "bigint", "b": "boolean", "y": "bytea"}
    arrays = (f"${number}::{words[each]}[]" for number, each in enumerate(types, 1))
    return f"unnest({', '.join(arrays)})"


PAYMENT = "tttttnttnt" + "tnnnnnnnnnnnnnnnntn"
INSTRUCTION = "tttttnttnbtnt" + "ttnttnnnnnnnbnnttn"
# Of a payment that is born here all is new; of one that is known these may change.
INSERT_PAYMENT = f"INSERT INTO payment SELECT 1, * FROM {columns(PAYMENT)}"
UPDATE_PAYMENT = f"""
UPDATE payment SET version = payment.version + 1, state = new.state, authorized = new.authorized,
    capture_in_flight = new.capture_in_flight, captured = new.captured,
    void_in_flight = new.void_in_flight, voided = new.voided, reserved = new.reserved,
    refunded = new.refunded, charged_back = new.charged_back, excess = new.excess,
    refunds = new.refunds, unknown = new.unknown, closing = new.closing, paid_at = new.paid_at,
    captured_at = new.captured_at, refund_sent_at = new.refund_sent_at,
    expires_at = new.expires_at, reference = new.reference, sequence = new.sequence
FROM {columns("tn" + PAYMENT[10:])} AS new (payment_id, version, state, authorized,
    capture_in_flight, captured, void_in_flight, voided, reserved, refunded, charged_back, excess,
    refunds, unknown, closing, paid_at, captured_at, refund_sent_at, expires_at, reference,
    sequence)
WHERE payment.payment_id = new.payment_id AND payment.version = new.version
"""
INSERT_INSTRUCTION = f"INSERT INTO instruction SELECT 1, * FROM {columns(INSTRUCTION)}"
UPDATE_INSTRUCTION = f"""
UPDATE instruction SET version = instruction.version + 1, state = new.state,
    number = new.number, generation = new.generation, withdrawal = new.withdrawal,
    waiting = new.waiting, sequence = new.sequence, due_at = new.due_at,
    deadline_at = new.deadline_at, lease = new.lease, attempt = new.attempt, sent_at = new.sent_at,
    leave_by = new.leave_by, in_doubt = new.in_doubt, known_at = new.known_at,
    final_at = new.final_at, reference = new.reference, failure = new.failure,
    fruitless = new.fruitless
FROM {columns("tn" + INSTRUCTION[13:])} AS new (instruction_id, version, state, number,
    generation, withdrawal, waiting, sequence, due_at, deadline_at, lease, attempt, sent_at,
    leave_by, in_doubt, known_at, final_at, reference, failure, fruitless)
WHERE instruction.instruction_id = new.instruction_id AND instruction.version = new.version
"""
INSERT_OLD_NUMBER = f"INSERT INTO old_number SELECT * FROM {columns('tt')}"
INSERT_REFERENCE = f"INSERT INTO merchant_reference SELECT * FROM {columns('tt')}"
INSERT_NONCE = f"INSERT INTO nonce SELECT * FROM {columns('tyn')}"
INSERT_RECEIPT = f"INSERT INTO receipt SELECT * FROM {columns('tyy')}"
INSERT_EVENT = f"""
INSERT INTO event (event_id, object_id, sequence, body) SELECT * FROM {columns("ntny")}
"""
INSERT_ENTRY = f"INSERT INTO entry SELECT * FROM {columns('nntnttnt')}"
INSERT_FACT = f"INSERT INTO fact SELECT * FROM {columns('tttnttn')}"
UPDATE_FACT = f"""
UPDATE fact SET state = new.state, booked_at = new.booked_at
FROM {columns("ttn")} AS new (fact_id, state, booked_at) WHERE fact.fact_id = new.fact_id
"""
INSERT_CASE = f"INSERT INTO operator_case SELECT * FROM {columns('tttnntnt')}"
CLOSE_CASE = f"""
UPDATE operator_case SET closed_at = new.closed_at, closed_by = new.closed_by
FROM {columns("tnt")} AS new (case_id, closed_at, closed_by)
WHERE operator_case.case_id = new.case_id
"""
PARK = f"""
INSERT INTO parked SELECT * FROM {columns("ttttn")}
ON CONFLICT (notice_id) DO UPDATE SET due_at = excluded.due_at
"""
HOLD = "INSERT INTO hold VALUES ($1) ON CONFLICT (scope) DO NOTHING"
UNHOLD = "DELETE FROM hold WHERE scope = $1"
INSERT_LINE = f"INSERT INTO line SELECT * FROM {columns('tnt')}"

# Accounts last: until COMMIT nobody else may touch them.
OPEN_ACCOUNTS = f"""
INSERT INTO account SELECT account, currency, $3, 0 FROM {columns("tt")} AS new (account, currency)
ON CONFLICT DO NOTHING
"""
LOCK_ACCOUNTS = """
SELECT account, currency FROM account WHERE slot = $1 AND account = ANY($2)
ORDER BY account, currency FOR NO KEY UPDATE
"""
ADD_TO_BALANCES = f"""
UPDATE account SET balance = account.balance + new.minor
FROM {columns("ttn")} AS new (account, currency, minor)
WHERE account.account = new.account AND account.currency = new.currency AND account.slot = $4
"""

# What the loops of the engine ask for.

NOT_QUARANTINED = """
NOT EXISTS (SELECT 1 FROM operator_case
    WHERE kind = 'quarantined' AND closed_at IS NULL AND object_id = {})
"""
IS_ON_HOLD = """
EXISTS (SELECT 1 FROM hold WHERE scope IN (
    'all', 'channel:' || channel, 'merchant:' || split_part(instruction_id, '/', 1)))
"""
# A claim is a hint, not a promise: it need not be durable, because the mark that follows it is
# fenced. Rows that somebody else works on are passed over.
BEGIN_LIGHTLY = f"{READ_COMMITTED}; SET LOCAL synchronous_commit = off"
CLAIM = f"""
WITH due AS MATERIALIZED (
    SELECT instruction_id, due_at FROM instruction
    WHERE channel = $1 AND due_at <= $2
      AND NOT ((waiting = 'redirect'
          OR (state = 'accepted' AND coalesce(deadline_at > $2, true))) AND {IS_ON_HOLD})
      AND {NOT_QUARANTINED.format("instruction_id")}
      AND {NOT_QUARANTINED.format("payment_id")}
    ORDER BY due_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED)
UPDATE instruction SET version = version + 1, lease = lease + 1, due_at = $4
FROM due WHERE instruction.instruction_id = due.instruction_id
RETURNING due.due_at AS since, {INSTRUCTION_ROW}
"""
DUE_PAYMENTS = f"""
SELECT {PAYMENT_ROW} FROM payment
WHERE expires_at <= $1 AND state IN ('created', 'pending') AND channel = ANY($3)
  AND {NOT_QUARANTINED.format("payment_id")}
ORDER BY expires_at LIMIT $2
"""
DUE_PARKED = f"""
SELECT notice_id, channel, body, due_at FROM parked
WHERE due_at <= $1 AND channel = ANY($3)
  AND {NOT_QUARANTINED.format("payment_id")}
ORDER BY due_at, notice_id LIMIT $2
"""
# One look into the index for each channel that is served, however long its queue is. What waits
# for a hold to end is due when its deadline is.
NEXT_DUE = f"""
SELECT min(at) FROM (
    SELECT (SELECT due_at FROM instruction
            WHERE channel = served.name AND due_at IS NOT NULL
              AND NOT ((waiting = 'redirect' OR state = 'accepted') AND {IS_ON_HOLD})
              AND {NOT_QUARANTINED.format("instruction_id")}
              AND {NOT_QUARANTINED.format("payment_id")}
            ORDER BY due_at LIMIT 1) AS at
    FROM unnest($1::text[]) AS served (name)
    UNION ALL
    SELECT min(greatest(due_at, deadline_at)) FROM instruction
    WHERE EXISTS (SELECT 1 FROM hold) AND due_at IS NOT NULL AND channel = ANY($1)
      AND state = 'accepted'
      AND deadline_at IS NOT NULL AND {IS_ON_HOLD}
      AND {NOT_QUARANTINED.format("instruction_id")}
      AND {NOT_QUARANTINED.format("payment_id")}
    UNION ALL
    SELECT (SELECT expires_at FROM payment
            WHERE expires_at IS NOT NULL AND state IN ('created', 'pending')
              AND channel = ANY($1) AND {NOT_QUARANTINED.format("payment_id")}
            ORDER BY expires_at LIMIT 1)
    UNION ALL
    SELECT (SELECT due_at FROM parked
            WHERE due_at IS NOT NULL AND channel = ANY($1)
              AND {NOT_QUARANTINED.format("payment_id")}
            ORDER BY due_at LIMIT 1)) AS every
"""

# The feed: positions for all that is visible and has none. Whatever one batch saw of another is
# visible with it, and has the smaller id; so the order of the feed is the order of causes. Only
# what may have been under way when positions were given last is looked at again. They are given
# to all at once, because a part would not be in the order of causes.
BEGIN_GIVING = f"{READ_COMMITTED}; SET LOCAL statement_timeout = 0"
IS_MY_TURN = "SELECT one FROM sequencer FOR NO KEY UPDATE SKIP LOCKED"
GIVE_POSITIONS = """
WITH last AS (SELECT next_xid, position FROM sequencer),
fresh AS (
    SELECT event_id, row_number() OVER (ORDER BY event_id) AS number FROM event, last
    WHERE xid >= last.next_xid AND xid < pg_snapshot_xmax(pg_current_snapshot())
      AND NOT EXISTS (SELECT 1 FROM feed WHERE feed.event_id = event.event_id)),
given AS (
    INSERT INTO feed SELECT last.position + number, event_id FROM fresh, last
    RETURNING position)
UPDATE sequencer SET next_xid = pg_snapshot_xmin(pg_current_snapshot()),
    position = position + (SELECT count(*) FROM given)
"""
HAS_NEWS = """
SELECT EXISTS (SELECT 1 FROM event, sequencer
    WHERE xid >= next_xid AND xid < pg_snapshot_xmax(pg_current_snapshot())
    AND NOT EXISTS (SELECT 1 FROM feed WHERE feed.event_id = event.event_id))
"""
# A database that was restored into another server has numbers of transactions that are still to
# come there.
IS_RESTORED = "SELECT next_xid > pg_snapshot_xmax(pg_current_snapshot()) FROM sequencer"
GIVE_ALL_POSITIONS = GIVE_POSITIONS.replace(
    "xid >= last.next_xid AND xid < pg_snapshot_xmax(pg_current_snapshot())", "true"
)
SINK = "SELECT position, owner, leased_until FROM cursor WHERE sink = $1"
LEASE_SINK = """
INSERT INTO cursor VALUES ($1, 0, $2, $4) ON CONFLICT (sink) DO UPDATE
SET owner = excluded.owner, leased_until = excluded.leased_until
WHERE cursor.owner = excluded.owner OR cursor.leased_until <= $3
RETURNING position
"""
UNDELIVERED = """
SELECT feed.position, event_id, object_id, sequence, body
FROM feed JOIN event USING (event_id)
WHERE feed.position > $1 ORDER BY feed.position LIMIT $2
"""
ENTRIES = """
SELECT event_id, debit, credit, minor, currency FROM entry
WHERE event_id = ANY($1) ORDER BY event_id, line
"""
ADVANCE = """
UPDATE cursor SET position = greatest(position, $2) WHERE sink = $1 AND owner = $3
"""
SUSPECT = """
INSERT INTO suspect SELECT object_id, 1 FROM unnest($1::text[]) AS new (object_id)
ON CONFLICT (object_id) DO UPDATE SET failures = suspect.failures + 1 WHERE $2
"""
SUSPECTS = "SELECT object_id, failures FROM suspect ORDER BY object_id"
CLEAR_SUSPECTS = "DELETE FROM suspect"
WAKE = "NOTIFY contraflow"
