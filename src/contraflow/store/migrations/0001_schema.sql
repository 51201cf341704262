-- Every table is STRICT: without it a balance beyond 63 bits silently becomes a float.
-- Times are milliseconds, amounts minor units. The columns of payment and instruction after
-- `version` are the fields of their structs, in the same order.
--
-- Words are compared one by one: for a list of more than two, IN builds a table for every row that
-- is written (6 of them cost 10 to 170 us an instruction). The tables with many or wide rows keep
-- a rowid, so that what was written together lies together (per refund 136 us instead of 209).

CREATE TABLE migration (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
    applied_at INTEGER NOT NULL
) STRICT;

CREATE TABLE engine (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    incarnation INTEGER NOT NULL,
    now INTEGER NOT NULL
) STRICT;
INSERT INTO engine VALUES (1, 0, 0);

CREATE TABLE payment (
    version INTEGER NOT NULL,
    payment_id TEXT NOT NULL PRIMARY KEY,
    channel TEXT NOT NULL,
    method TEXT NOT NULL,
    instrument TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    amount INTEGER NOT NULL CHECK (amount BETWEEN 0 AND 1000000000000000),
    capturing TEXT NOT NULL CHECK (capturing IN ('automatic', 'manual')),
    pay_number TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    labels TEXT NOT NULL,
    -- What may change:
    state TEXT NOT NULL CHECK (
        state = 'created' OR state = 'pending' OR state = 'authorized' OR state = 'captured' OR
        state = 'canceled' OR state = 'failed' OR state = 'expired'),
    authorized INTEGER NOT NULL CHECK (authorized BETWEEN 0 AND 1000000000000000),
    capture_in_flight INTEGER NOT NULL CHECK (capture_in_flight BETWEEN 0 AND 1000000000000000),
    captured INTEGER NOT NULL CHECK (captured BETWEEN 0 AND 1000000000000000),
    void_in_flight INTEGER NOT NULL CHECK (void_in_flight BETWEEN 0 AND 1000000000000000),
    voided INTEGER NOT NULL CHECK (voided BETWEEN 0 AND 1000000000000000),
    reserved INTEGER NOT NULL CHECK (reserved BETWEEN 0 AND 1000000000000000),
    refunded INTEGER NOT NULL CHECK (refunded BETWEEN 0 AND 1000000000000000),
    charged_back INTEGER NOT NULL CHECK (charged_back BETWEEN 0 AND 1000000000000000),
    excess INTEGER NOT NULL CHECK (excess BETWEEN 0 AND 1000000000000000),
    refunds INTEGER NOT NULL CHECK (refunds >= 0),
    unknown INTEGER NOT NULL CHECK (unknown >= 0),
    closing INTEGER NOT NULL CHECK (closing >= 0),
    paid_at INTEGER,
    captured_at INTEGER,
    refund_sent_at INTEGER,
    expires_at INTEGER,
    reference TEXT NOT NULL,
    sequence INTEGER NOT NULL CHECK (sequence > 0),
    CHECK (captured + capture_in_flight + voided + void_in_flight <= authorized),
    CHECK (reserved + refunded + charged_back <= captured + excess), -- I1
    CHECK (excess = max(0, reserved + refunded + charged_back - captured))
) STRICT;
CREATE INDEX payment_expires ON payment (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE instruction (
    version INTEGER NOT NULL,
    instruction_id TEXT NOT NULL PRIMARY KEY,
    payment_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (
        kind = 'pay' OR kind = 'capture' OR kind = 'close' OR kind = 'void' OR kind = 'refund'),
    mode TEXT NOT NULL CHECK (
        mode = 'synchronous_cancel' OR mode = 'asynchronous_cancel' OR
        mode = 'synchronous_refund' OR mode = 'asynchronous_refund' OR mode = 'none'),
    minor INTEGER NOT NULL CHECK (minor BETWEEN 1 AND 1000000000000000), -- I9
    currency TEXT NOT NULL,
    key TEXT NOT NULL,
    leg INTEGER NOT NULL CHECK (leg >= 0),
    is_fallback INTEGER NOT NULL CHECK (is_fallback IN (0, 1)),
    capture_id TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    labels TEXT NOT NULL,
    -- What may change:
    state TEXT NOT NULL CHECK (
        state = 'held' OR state = 'accepted' OR state = 'sent' OR state = 'pending' OR
        state = 'unknown' OR state = 'attention' OR state = 'succeeded' OR state = 'failed' OR
        state = 'withdrawn' OR state = 'bounced'),
    number TEXT NOT NULL UNIQUE,
    generation INTEGER NOT NULL CHECK (generation >= 0),
    withdrawal TEXT NOT NULL CHECK (
        withdrawal = 'none' OR withdrawal = 'asked' OR withdrawal = 'refused' OR
        withdrawal = 'done'),
    waiting TEXT NOT NULL CHECK (
        waiting = '' OR waiting = 'undo_window' OR waiting = 'review' OR waiting = 'redirect'
        OR waiting = 'person'),
    sequence INTEGER NOT NULL CHECK (sequence > 0),
    due_at INTEGER,
    deadline_at INTEGER,
    lease INTEGER NOT NULL CHECK (lease >= 0),
    attempt INTEGER NOT NULL CHECK (attempt >= 0),
    sent_at INTEGER,
    leave_by INTEGER,
    in_doubt INTEGER NOT NULL CHECK (in_doubt IN (0, 1)),
    known_at INTEGER,
    final_at INTEGER,
    reference TEXT NOT NULL,
    failure TEXT NOT NULL,
    fruitless INTEGER NOT NULL CHECK (fruitless BETWEEN 0 AND attempt),
    CHECK ((attempt = 0) = (leave_by IS NULL)),
    CHECK ((state = 'succeeded' OR state = 'failed' OR state = 'withdrawn' OR state = 'bounced')
        = (final_at IS NOT NULL)),
    CHECK (final_at IS NULL OR due_at IS NULL),
    CHECK (state <> 'held' OR deadline_at IS NOT NULL),
    FOREIGN KEY (payment_id) REFERENCES payment (payment_id)
) STRICT;
CREATE INDEX instruction_due ON instruction (channel, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX instruction_payment ON instruction (payment_id);
CREATE INDEX instruction_attention ON instruction (deadline_at) WHERE state = 'attention';

-- Numbers of earlier generations: a channel may still speak of them.
CREATE TABLE old_number (
    number TEXT PRIMARY KEY,
    instruction_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE receipt (
    key TEXT NOT NULL PRIMARY KEY,
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    body BLOB NOT NULL
) STRICT;

CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    object_id TEXT NOT NULL,
    sequence INTEGER NOT NULL CHECK (sequence > 0),
    body BLOB NOT NULL,
    UNIQUE (object_id, sequence)
) STRICT;

-- The position is that of the event, so that no index is needed to find the entries of an object.
CREATE TABLE entry (
    position INTEGER NOT NULL,
    line INTEGER NOT NULL CHECK (line > 0),
    object_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    debit TEXT NOT NULL,
    credit TEXT NOT NULL,
    minor INTEGER NOT NULL CHECK (minor BETWEEN 1 AND 1000000000000000),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    PRIMARY KEY (position, line),
    CHECK (debit <> credit)
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
    account TEXT NOT NULL,
    currency TEXT NOT NULL,
    balance INTEGER NOT NULL,
    PRIMARY KEY (account, currency)
) STRICT, WITHOUT ROWID;

CREATE TABLE fact (
    fact_id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (
        kind = 'capture' OR kind = 'chargeback' OR kind = 'refund_elsewhere' OR kind = 'notice'),
    payment_id TEXT NOT NULL,
    minor INTEGER NOT NULL CHECK (minor BETWEEN 0 AND 1000000000000000),
    currency TEXT NOT NULL,
    state TEXT NOT NULL CHECK (
        state = 'booked' OR state = 'opened' OR state = 'won' OR state = 'lost'),
    booked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE operator_case (
    case_id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (
        kind = 'attention' OR kind = 'over_reversal' OR kind = 'late_fact' OR
        kind = 'contradiction' OR kind = 'parked_fact' OR kind = 'quarantined'),
    object_id TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    deadline_at INTEGER NOT NULL,
    detail TEXT NOT NULL,
    closed_at INTEGER,
    closed_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX operator_case_open ON operator_case (kind, object_id) WHERE closed_at IS NULL;

CREATE TABLE parked (
    notice_id TEXT PRIMARY KEY,
    channel TEXT NOT NULL,
    body TEXT NOT NULL CHECK (json_valid(body)),
    due_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX parked_due ON parked (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE hold (
    scope TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE line (
    source TEXT NOT NULL,
    number INTEGER NOT NULL,
    answer TEXT NOT NULL,
    PRIMARY KEY (source, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE cursor (
    sink TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE suspect (
    object_id TEXT PRIMARY KEY,
    failures INTEGER NOT NULL CHECK (failures > 0)
) STRICT, WITHOUT ROWID;

-- INSERT OR REPLACE deletes without asking the delete trigger (unless recursive_triggers is on), so
-- an insert trigger looks for the row that would be replaced, by every unique key of the table.

-- Append only.

CREATE TRIGGER receipt_insert BEFORE INSERT ON receipt
WHEN EXISTS (SELECT 1 FROM receipt WHERE key = NEW.key)
BEGIN SELECT RAISE(ABORT, 'receipt is append only'); END;
CREATE TRIGGER receipt_update BEFORE UPDATE ON receipt
BEGIN SELECT RAISE(ABORT, 'receipt is append only'); END;
CREATE TRIGGER receipt_delete BEFORE DELETE ON receipt
BEGIN SELECT RAISE(ABORT, 'receipt is append only'); END;

CREATE TRIGGER event_insert BEFORE INSERT ON event
WHEN EXISTS (SELECT 1 FROM event WHERE position = NEW.position)
  OR EXISTS (SELECT 1 FROM event WHERE object_id = NEW.object_id AND sequence = NEW.sequence)
BEGIN SELECT RAISE(ABORT, 'event is append only'); END;
CREATE TRIGGER event_update BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'event is append only'); END;
CREATE TRIGGER event_delete BEFORE DELETE ON event
BEGIN SELECT RAISE(ABORT, 'event is append only'); END;

CREATE TRIGGER entry_insert BEFORE INSERT ON entry
WHEN EXISTS (SELECT 1 FROM entry WHERE position = NEW.position AND line = NEW.line)
BEGIN SELECT RAISE(ABORT, 'entry is append only'); END;
CREATE TRIGGER entry_update BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'entry is append only'); END;
CREATE TRIGGER entry_delete BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'entry is append only'); END;

CREATE TRIGGER line_insert BEFORE INSERT ON line
WHEN EXISTS (SELECT 1 FROM line WHERE source = NEW.source AND number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'line is append only'); END;
CREATE TRIGGER line_update BEFORE UPDATE ON line
BEGIN SELECT RAISE(ABORT, 'line is append only'); END;
CREATE TRIGGER line_delete BEFORE DELETE ON line
BEGIN SELECT RAISE(ABORT, 'line is append only'); END;

CREATE TRIGGER migration_insert BEFORE INSERT ON migration
WHEN EXISTS (SELECT 1 FROM migration WHERE number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'migration is append only'); END;
CREATE TRIGGER migration_update BEFORE UPDATE ON migration
BEGIN SELECT RAISE(ABORT, 'migration is append only'); END;
CREATE TRIGGER migration_delete BEFORE DELETE ON migration
BEGIN SELECT RAISE(ABORT, 'migration is append only'); END;

CREATE TRIGGER old_number_insert BEFORE INSERT ON old_number
WHEN EXISTS (SELECT 1 FROM old_number WHERE number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'old_number is append only'); END;
CREATE TRIGGER old_number_update BEFORE UPDATE ON old_number
BEGIN SELECT RAISE(ABORT, 'old_number is append only'); END;
CREATE TRIGGER old_number_delete BEFORE DELETE ON old_number
BEGIN SELECT RAISE(ABORT, 'old_number is append only'); END;

-- Never removed, and changed only where a life goes on.

CREATE TRIGGER payment_insert BEFORE INSERT ON payment
WHEN EXISTS (SELECT 1 FROM payment WHERE payment_id = NEW.payment_id)
BEGIN SELECT RAISE(ABORT, 'payment is never replaced'); END;
CREATE TRIGGER payment_delete BEFORE DELETE ON payment
BEGIN SELECT RAISE(ABORT, 'payment is never removed'); END;
CREATE TRIGGER payment_update BEFORE UPDATE OF
    payment_id, channel, method, instrument, currency, amount, capturing, pay_number,
    created_at, labels
ON payment
BEGIN SELECT RAISE(ABORT, 'payment keeps what it was born with'); END;

CREATE TRIGGER instruction_insert BEFORE INSERT ON instruction
WHEN EXISTS (SELECT 1 FROM instruction WHERE instruction_id = NEW.instruction_id)
  OR EXISTS (SELECT 1 FROM instruction WHERE number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'instruction is never replaced'); END;
-- I9. A foreign key with the currency would need a second index of all payments, and miss a page.
CREATE TRIGGER instruction_currency BEFORE INSERT ON instruction
WHEN NEW.currency <> (SELECT currency FROM payment WHERE payment_id = NEW.payment_id)
BEGIN SELECT RAISE(ABORT, 'instruction is in the currency of its payment'); END;
CREATE TRIGGER instruction_delete BEFORE DELETE ON instruction
BEGIN SELECT RAISE(ABORT, 'instruction is never removed'); END;
CREATE TRIGGER instruction_update BEFORE UPDATE OF
    instruction_id, payment_id, channel, kind, mode, minor, currency, key, leg,
    is_fallback, capture_id, requested_at, labels
ON instruction
BEGIN SELECT RAISE(ABORT, 'instruction keeps what it was born with'); END;
CREATE TRIGGER instruction_renumber BEFORE UPDATE OF number ON instruction
WHEN NEW.number <> OLD.number AND (
  NEW.generation <= OLD.generation
  OR EXISTS (SELECT 1 FROM instruction WHERE number = NEW.number)
  OR EXISTS (SELECT 1 FROM old_number WHERE number = NEW.number))
BEGIN SELECT RAISE(ABORT, 'instruction needs a fresh number for a new generation'); END;

CREATE TRIGGER fact_insert BEFORE INSERT ON fact
WHEN EXISTS (SELECT 1 FROM fact WHERE fact_id = NEW.fact_id)
BEGIN SELECT RAISE(ABORT, 'fact is never replaced'); END;
CREATE TRIGGER fact_delete BEFORE DELETE ON fact
BEGIN SELECT RAISE(ABORT, 'fact is never removed'); END;
CREATE TRIGGER fact_update BEFORE UPDATE ON fact
WHEN OLD.kind <> 'chargeback' OR OLD.state <> 'opened' OR NEW.state NOT IN ('won', 'lost')
  OR (NEW.fact_id, NEW.kind, NEW.payment_id, NEW.minor, NEW.currency)
  IS NOT (OLD.fact_id, OLD.kind, OLD.payment_id, OLD.minor, OLD.currency)
BEGIN SELECT RAISE(ABORT, 'fact changes only where a dispute ends'); END;

CREATE TRIGGER operator_case_insert BEFORE INSERT ON operator_case
WHEN EXISTS (SELECT 1 FROM operator_case WHERE case_id = NEW.case_id)
BEGIN SELECT RAISE(ABORT, 'operator_case is never replaced'); END;
CREATE TRIGGER operator_case_delete BEFORE DELETE ON operator_case
BEGIN SELECT RAISE(ABORT, 'operator_case is never removed'); END;
CREATE TRIGGER operator_case_update BEFORE UPDATE ON operator_case
WHEN OLD.closed_at IS NOT NULL OR NEW.closed_at IS NULL
  OR (NEW.case_id, NEW.kind, NEW.object_id, NEW.opened_at, NEW.deadline_at, NEW.detail)
  IS NOT (OLD.case_id, OLD.kind, OLD.object_id, OLD.opened_at, OLD.deadline_at, OLD.detail)
BEGIN SELECT RAISE(ABORT, 'operator_case can only be closed, once'); END;

CREATE TRIGGER engine_update BEFORE UPDATE ON engine
WHEN NEW.incarnation < OLD.incarnation OR NEW.now < OLD.now
BEGIN SELECT RAISE(ABORT, 'engine never goes back'); END;
CREATE TRIGGER engine_delete BEFORE DELETE ON engine
BEGIN SELECT RAISE(ABORT, 'engine is never removed'); END;
