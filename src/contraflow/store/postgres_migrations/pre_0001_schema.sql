-- Times are milliseconds, amounts minor units. The columns of payment and instruction after
-- `version` are the fields of their structs, in the same order. Everything that is looked up by
-- name is COLLATE "C": locks are taken in this order, and Python sorts the same way.
--
-- Rows that change leave room on their page, so that an update needs no new entry in the indexes
-- (a payment, an account) where none of their columns has changed.


CREATE TABLE payment (
    version bigint NOT NULL,
    payment_id text COLLATE "C" PRIMARY KEY,
    channel text COLLATE "C" NOT NULL,
    method text NOT NULL,
    instrument text NOT NULL,
    currency text NOT NULL CHECK (length(currency) = 3),
    amount bigint NOT NULL CHECK (amount BETWEEN 0 AND 1000000000000000),
    capturing text NOT NULL CHECK (capturing IN ('automatic', 'manual')),
    pay_number text NOT NULL,
    created_at bigint NOT NULL,
    labels text NOT NULL,
    -- What may change:
    state text NOT NULL CHECK (state IN (
        'created', 'pending', 'authorized', 'captured', 'canceled', 'failed', 'expired')),
    authorized bigint NOT NULL CHECK (authorized BETWEEN 0 AND 1000000000000000),
    capture_in_flight bigint NOT NULL CHECK (capture_in_flight >= 0),
    captured bigint NOT NULL CHECK (captured BETWEEN 0 AND 1000000000000000),
    void_in_flight bigint NOT NULL CHECK (void_in_flight >= 0),
    voided bigint NOT NULL CHECK (voided >= 0),
    reserved bigint NOT NULL CHECK (reserved BETWEEN 0 AND 1000000000000000),
    refunded bigint NOT NULL CHECK (refunded BETWEEN 0 AND 1000000000000000),
    charged_back bigint NOT NULL CHECK (charged_back BETWEEN 0 AND 1000000000000000),
    excess bigint NOT NULL,
    refunds bigint NOT NULL CHECK (refunds >= 0),
    unknown bigint NOT NULL CHECK (unknown >= 0),
    closing bigint NOT NULL CHECK (closing >= 0),
    paid_at bigint,
    captured_at bigint,
    refund_sent_at bigint,
    expires_at bigint,
    reference text NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    CHECK (captured + capture_in_flight + voided + void_in_flight <= authorized),
    CHECK (reserved + refunded + charged_back <= captured + excess), -- I1
    CHECK (excess = greatest(0, reserved + refunded + charged_back - captured))
) WITH (fillfactor = 60);
CREATE INDEX payment_expires ON payment (expires_at)
    WHERE expires_at IS NOT NULL AND state IN ('created', 'pending');

CREATE TABLE instruction (
    version bigint NOT NULL,
    instruction_id text COLLATE "C" PRIMARY KEY,
    payment_id text COLLATE "C" NOT NULL,
    channel text COLLATE "C" NOT NULL,
    kind text NOT NULL CHECK (kind IN ('pay', 'capture', 'close', 'void', 'refund')),
    mode text NOT NULL CHECK (mode IN (
        'synchronous_cancel', 'asynchronous_cancel', 'synchronous_refund', 'asynchronous_refund',
        'none')),
    minor bigint NOT NULL CHECK (minor BETWEEN 1 AND 1000000000000000), -- I9
    currency text NOT NULL,
    key text COLLATE "C" NOT NULL,
    leg bigint NOT NULL CHECK (leg >= 0),
    is_fallback boolean NOT NULL,
    capture_id text NOT NULL,
    requested_at bigint NOT NULL,
    labels text NOT NULL,
    -- What may change:
    state text NOT NULL CHECK (state IN (
        'held', 'accepted', 'sent', 'pending', 'unknown', 'attention', 'succeeded', 'failed',
        'withdrawn', 'bounced')),
    number text COLLATE "C" NOT NULL UNIQUE,
    generation bigint NOT NULL CHECK (generation >= 0),
    withdrawal text NOT NULL CHECK (withdrawal IN ('none', 'asked', 'refused', 'done')),
    waiting text NOT NULL CHECK (waiting IN ('', 'undo_window', 'review', 'redirect', 'person')),
    sequence bigint NOT NULL CHECK (sequence > 0),
    due_at bigint,
    deadline_at bigint,
    lease bigint NOT NULL CHECK (lease >= 0),
    attempt bigint NOT NULL CHECK (attempt >= 0),
    sent_at bigint,
    leave_by bigint,
    in_doubt boolean NOT NULL,
    known_at bigint,
    final_at bigint,
    reference text NOT NULL,
    failure text NOT NULL,
    fruitless bigint NOT NULL CHECK (fruitless BETWEEN 0 AND attempt),
    CHECK ((attempt = 0) = (leave_by IS NULL)),
    CHECK ((state IN ('succeeded', 'failed', 'withdrawn', 'bounced')) = (final_at IS NOT NULL)),
    CHECK (final_at IS NULL OR due_at IS NULL),
    CHECK (state <> 'held' OR deadline_at IS NOT NULL)
) WITH (fillfactor = 60);
CREATE INDEX instruction_due ON instruction (channel, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX instruction_payment ON instruction (payment_id);
CREATE INDEX instruction_attention ON instruction (deadline_at) WHERE state = 'attention';

-- Numbers of earlier generations: a channel may still speak of them.
CREATE TABLE old_number (
    number text COLLATE "C" PRIMARY KEY,
    instruction_id text COLLATE "C" NOT NULL
);

CREATE TABLE receipt (
    key text COLLATE "C" PRIMARY KEY,
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
    body bytea NOT NULL
);

-- A batch draws one number, after its locks: so the ids of what is about one object rise. An id
-- says nothing about the order of commits: the feed does. `xid` is the transaction that wrote it.
CREATE SEQUENCE event_block;
CREATE TABLE event (
    event_id bigint PRIMARY KEY,
    object_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    body bytea NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    UNIQUE (object_id, sequence)
);
CREATE INDEX event_xid ON event (xid);

CREATE TABLE entry (
    event_id bigint NOT NULL,
    line bigint NOT NULL CHECK (line > 0),
    object_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    debit text COLLATE "C" NOT NULL,
    credit text COLLATE "C" NOT NULL,
    minor bigint NOT NULL CHECK (minor BETWEEN 1 AND 1000000000000000),
    currency text NOT NULL CHECK (length(currency) = 3),
    PRIMARY KEY (event_id, line),
    CHECK (debit <> credit)
);

-- Positions, given after commit by one process at a time. Everything that was written by a
-- transaction before `next_xid` has its position, and so has some that was written after it.
CREATE TABLE feed (
    position bigint PRIMARY KEY,
    event_id bigint NOT NULL UNIQUE
);
CREATE TABLE sequencer (
    one bigint PRIMARY KEY CHECK (one = 1),
    next_xid xid8 NOT NULL,
    position bigint NOT NULL
);
INSERT INTO sequencer VALUES (1, '0', 0);

-- Which server this database has moved to last, and when: its clock is another one. No attempt that
-- had left before `moved_at` is dead sooner than one that left then; see decisions/0022.
CREATE TABLE home (
    one bigint PRIMARY KEY CHECK (one = 1),
    system text NOT NULL,
    timeline text NOT NULL,
    moved_at bigint NOT NULL
);
INSERT INTO home
SELECT 1, system_identifier::text, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), 0
FROM pg_control_system();

-- Never a row: batches lock it, and nobody touches it otherwise. Only the writer may lock it like
-- that; an advisory lock is anybody's.
CREATE TABLE gate (
    never bigint NOT NULL CHECK (false)
);

-- The balance of an account is the sum of its slots: each process can have its own.
CREATE TABLE account (
    account text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    slot bigint NOT NULL CHECK (slot BETWEEN 0 AND 1023),
    balance bigint NOT NULL,
    PRIMARY KEY (account, currency, slot)
) WITH (fillfactor = 40);

CREATE TABLE fact (
    fact_id text COLLATE "C" PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('capture', 'chargeback', 'refund_elsewhere', 'notice')),
    payment_id text COLLATE "C" NOT NULL,
    minor bigint NOT NULL CHECK (minor BETWEEN 0 AND 1000000000000000),
    currency text NOT NULL,
    state text NOT NULL CHECK (state IN ('booked', 'opened', 'won', 'lost')),
    booked_at bigint NOT NULL
);

CREATE TABLE operator_case (
    case_id text COLLATE "C" PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN (
        'attention', 'over_reversal', 'late_fact', 'contradiction', 'parked_fact', 'quarantined')),
    object_id text COLLATE "C" NOT NULL,
    opened_at bigint NOT NULL,
    deadline_at bigint NOT NULL,
    detail text NOT NULL,
    closed_at bigint,
    closed_by text NOT NULL
);
CREATE INDEX operator_case_open ON operator_case (kind, object_id) WHERE closed_at IS NULL;
CREATE INDEX operator_case_object ON operator_case (object_id);

CREATE TABLE parked (
    notice_id text COLLATE "C" PRIMARY KEY,
    channel text COLLATE "C" NOT NULL,
    payment_id text COLLATE "C" NOT NULL, -- That it is about, or empty.
    body text NOT NULL,
    due_at bigint
);
CREATE INDEX parked_due ON parked (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE hold (
    scope text COLLATE "C" PRIMARY KEY
);

CREATE TABLE line (
    source text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    answer text NOT NULL,
    PRIMARY KEY (source, number)
);

-- Who delivers to a sink, and until when it need not share that.
CREATE TABLE cursor (
    sink text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL,
    owner uuid NOT NULL,
    leased_until bigint NOT NULL
);

CREATE TABLE suspect (
    object_id text COLLATE "C" PRIMARY KEY,
    failures bigint NOT NULL CHECK (failures > 0)
);

-- One for each transaction. Whoever lost the answer to a COMMIT inserts the same id as dead, and
-- then reads who was first; see decisions/0020.
CREATE TABLE commit_marker (
    batch_id uuid PRIMARY KEY,
    is_dead boolean NOT NULL DEFAULT false,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX commit_marker_age ON commit_marker (written_at);

CREATE FUNCTION clock_ms() RETURNS bigint LANGUAGE sql VOLATILE
    AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

-- What is recorded stays. The triggers are ENABLE ALWAYS: a replica role does not pass them.

CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
    SET search_path = contraflow, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% %', TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'raise_exception';
END $$;

CREATE PROCEDURE keep_rows(kept text, what text, events text) LANGUAGE plpgsql AS $$
DECLARE
    name text := regexp_replace(lower(kept || '_' || events), '[^a-z]+', '_', 'g');
BEGIN
    EXECUTE format(
        'CREATE TRIGGER %I BEFORE %s ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse(%L)',
        left(name, 60), events, kept, what);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER %I', kept, left(name, 60));
END $$;

DO $$
DECLARE
    kept text;
BEGIN
    FOREACH kept IN ARRAY ARRAY[
        'receipt', 'event', 'entry', 'feed', 'line', 'old_number', 'migration'] LOOP
        CALL keep_rows(kept, 'is append only', 'UPDATE OR DELETE OR TRUNCATE');
    END LOOP;
    FOREACH kept IN ARRAY ARRAY[
        'payment', 'instruction', 'fact', 'operator_case', 'account', 'sequencer', 'home', 'parked'] LOOP
        CALL keep_rows(kept, 'is never removed', 'DELETE OR TRUNCATE');
    END LOOP;
END $$;
CALL keep_rows('payment', 'keeps what it was born with',
    'UPDATE OF payment_id, channel, method, instrument, currency, amount, capturing, pay_number,
    created_at, labels');
CALL keep_rows('instruction', 'keeps what it was born with',
    'UPDATE OF instruction_id, payment_id, channel, kind, mode, minor, currency, key, leg,
    is_fallback, capture_id, requested_at, labels');

-- I9, and that its payment exists: once for a batch, where a foreign key looks row by row.
CREATE FUNCTION instruction_of_payment() RETURNS trigger LANGUAGE plpgsql
    SET search_path = contraflow, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM born WHERE born.currency IS DISTINCT FROM
            (SELECT payment.currency FROM payment WHERE payment.payment_id = born.payment_id)
    ) THEN
        RAISE EXCEPTION 'instruction is in the currency of its payment';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER instruction_of_payment AFTER INSERT ON instruction
    REFERENCING NEW TABLE AS born
    FOR EACH STATEMENT EXECUTE FUNCTION instruction_of_payment();
ALTER TABLE instruction ENABLE ALWAYS TRIGGER instruction_of_payment;

CREATE FUNCTION instruction_renumber() RETURNS trigger LANGUAGE plpgsql
    SET search_path = contraflow, pg_temp AS $$
BEGIN
    IF NEW.generation <= OLD.generation
        OR EXISTS (SELECT 1 FROM old_number WHERE number = NEW.number)
    THEN
        RAISE EXCEPTION 'instruction needs a fresh number for a new generation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER instruction_renumber BEFORE UPDATE OF number ON instruction
    FOR EACH ROW WHEN (NEW.number <> OLD.number) EXECUTE FUNCTION instruction_renumber();
ALTER TABLE instruction ENABLE ALWAYS TRIGGER instruction_renumber;

CREATE FUNCTION fact_ends() RETURNS trigger LANGUAGE plpgsql
    SET search_path = contraflow, pg_temp AS $$
BEGIN
    IF OLD.kind <> 'chargeback' OR OLD.state <> 'opened' OR NEW.state NOT IN ('won', 'lost')
        OR (NEW.fact_id, NEW.kind, NEW.payment_id, NEW.minor, NEW.currency)
        IS DISTINCT FROM (OLD.fact_id, OLD.kind, OLD.payment_id, OLD.minor, OLD.currency)
    THEN
        RAISE EXCEPTION 'fact changes only where a dispute ends';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fact_ends BEFORE UPDATE ON fact
    FOR EACH ROW EXECUTE FUNCTION fact_ends();
ALTER TABLE fact ENABLE ALWAYS TRIGGER fact_ends;

CREATE FUNCTION operator_case_closes() RETURNS trigger LANGUAGE plpgsql
    SET search_path = contraflow, pg_temp AS $$
BEGIN
    IF OLD.closed_at IS NOT NULL OR NEW.closed_at IS NULL
        OR (NEW.case_id, NEW.kind, NEW.object_id, NEW.opened_at, NEW.deadline_at, NEW.detail)
        IS DISTINCT FROM
        (OLD.case_id, OLD.kind, OLD.object_id, OLD.opened_at, OLD.deadline_at, OLD.detail)
    THEN
        RAISE EXCEPTION 'operator_case can only be closed, once';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER operator_case_closes BEFORE UPDATE ON operator_case
    FOR EACH ROW EXECUTE FUNCTION operator_case_closes();
ALTER TABLE operator_case ENABLE ALWAYS TRIGGER operator_case_closes;

-- Who may do what. The writer owns nothing, so it can neither drop a trigger nor a table.

GRANT USAGE ON SCHEMA contraflow TO contraflow_writer, contraflow_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA contraflow TO contraflow_writer, contraflow_reader;
GRANT USAGE ON SEQUENCE event_block TO contraflow_writer;
GRANT INSERT ON payment, instruction, old_number, receipt, event, entry, feed, account, fact,
    operator_case, parked, hold, line, cursor, suspect, commit_marker TO contraflow_writer;
GRANT UPDATE (version, state, authorized, capture_in_flight, captured, void_in_flight, voided,
    reserved, refunded, charged_back, excess, refunds, unknown, closing, paid_at, captured_at,
    refund_sent_at, expires_at, reference, sequence) ON payment TO contraflow_writer;
GRANT UPDATE (version, state, number, generation, withdrawal, waiting, sequence, due_at,
    deadline_at, lease, attempt, sent_at, leave_by, in_doubt, known_at, final_at, reference,
    failure, fruitless) ON instruction TO contraflow_writer;
GRANT UPDATE (balance) ON account TO contraflow_writer;
GRANT UPDATE (state, booked_at) ON fact TO contraflow_writer;
GRANT UPDATE (closed_at, closed_by) ON operator_case TO contraflow_writer;
GRANT UPDATE (due_at) ON parked TO contraflow_writer;
GRANT UPDATE (position, owner, leased_until) ON cursor TO contraflow_writer;
GRANT UPDATE (next_xid, position) ON sequencer TO contraflow_writer;
GRANT UPDATE (system, timeline, moved_at) ON home TO contraflow_writer;
GRANT UPDATE (failures), DELETE ON suspect TO contraflow_writer;
GRANT UPDATE (written_at), DELETE ON commit_marker TO contraflow_writer; -- To lock what goes.
GRANT DELETE ON hold, gate TO contraflow_writer;
