# ruff: noqa: S608 the statements are made of our own words.
"""The SQL behind the views of a PostgreSQL database; nothing here writes."""

from __future__ import annotations

from contraflow.store.postgres_statements import (
    CASE_ROW,
    FACT_ROW,
    INSTRUCTION_ROW,
    PAYMENT_ROW,
    RECEIPT_ROW,
)

PAYMENT = f"SELECT {PAYMENT_ROW} FROM payment WHERE payment_id = $1"
INSTRUCTION = f"SELECT {INSTRUCTION_ROW} FROM instruction WHERE instruction_id = $1"
PAYMENTS = f"SELECT {PAYMENT_ROW} FROM payment WHERE payment_id = ANY($1)"
INSTRUCTIONS = f"SELECT {INSTRUCTION_ROW} FROM instruction WHERE instruction_id = ANY($1)"
PAYMENTS_BEFORE = f"""
SELECT {PAYMENT_ROW} FROM payment
WHERE split_part(payment_id, '/', 1) COLLATE "C" = $1 AND created_at >= $4
  AND (created_at, payment_id) < ($2, $3)
ORDER BY created_at DESC, payment_id DESC LIMIT $5
"""
INSTRUCTIONS_BEFORE = f"""
SELECT {INSTRUCTION_ROW} FROM instruction
WHERE split_part(instruction_id, '/', 1) COLLATE "C" = $1 AND requested_at >= $4
  AND (requested_at, instruction_id) < ($2, $3)
ORDER BY requested_at DESC, instruction_id DESC LIMIT $5
"""
NAMED = """
SELECT object_id FROM merchant_reference WHERE reference = $1 ORDER BY object_id LIMIT $2
"""
EVENTS_AFTER = """
SELECT feed.position, object_id, sequence, body FROM feed JOIN event USING (event_id)
WHERE feed.position > $1 ORDER BY feed.position LIMIT $2
"""
LAST_POSITION = "SELECT coalesce(max(position), 0) FROM feed"
AT_REST = """
SELECT instruction_id FROM instruction
WHERE instruction_id = ANY($1) AND (final_at IS NOT NULL OR state = 'attention')
"""
INSTRUCTIONS_OF = f"""
SELECT {INSTRUCTION_ROW} FROM instruction
WHERE payment_id = $1 ORDER BY requested_at, leg, instruction_id
"""
LIST_INSTRUCTIONS = f"""
SELECT {INSTRUCTION_ROW} FROM instruction
WHERE instruction_id > $1 AND instruction_id < $2
  AND ($3::text = '' OR state = $3) AND ($4::text = '' OR kind = $4)
  AND ($5::text = '' OR channel = $5)
ORDER BY instruction_id LIMIT $6
"""
IN_ATTENTION = f"""
SELECT {INSTRUCTION_ROW} FROM instruction
WHERE state = 'attention'
  AND ($1::text = '' OR instruction_id > $1 || '/' AND instruction_id < $1 || '0')
ORDER BY deadline_at, instruction_id
"""
IN_REVIEW = f"""
SELECT {INSTRUCTION_ROW} FROM instruction
WHERE state = 'held' AND waiting = 'review'
  AND ($1::text = '' OR instruction_id > $1 || '/' AND instruction_id < $1 || '0')
ORDER BY deadline_at, instruction_id
"""
OPEN_CASES = f"""
SELECT {CASE_ROW} FROM operator_case
WHERE closed_at IS NULL
  AND ($1::text = '' OR object_id > $1 || '/' AND object_id < $1 || '0')
ORDER BY deadline_at, case_id
"""
EVENTS_OF = """
SELECT coalesce(feed.position, 0), event_id, object_id, sequence, body
FROM event LEFT JOIN feed USING (event_id)
WHERE object_id = ANY($1) ORDER BY feed.position NULLS LAST, event_id
"""
RECEIPT = f"SELECT {RECEIPT_ROW} FROM receipt WHERE key = $1"
HOLDS = "SELECT scope FROM hold ORDER BY scope"
LINES_OF = "SELECT number, answer FROM line WHERE source = $1 ORDER BY number"

FINISHED = """
SELECT kind, state, requested_at, sent_at, known_at, final_at FROM instruction
WHERE final_at >= $1 AND final_at < $2
  AND ($3::text = '' OR channel = $3) AND ($4::text = '' OR currency = $4)
  AND ($5::text = '' OR instruction_id > $5 || '/' AND instruction_id < $5 || '0')
ORDER BY final_at, instruction_id
"""
SENT = """
SELECT kind, instruction.state, payment.state, count(*)
FROM instruction JOIN payment USING (payment_id)
WHERE sent_at >= $1 AND sent_at < $2
  AND ($3::text = '' OR instruction.channel = $3)
  AND ($4::text = '' OR instruction.currency = $4)
  AND ($5::text = '' OR instruction_id > $5 || '/' AND instruction_id < $5 || '0')
GROUP BY 1, 2, 3
UNION ALL
SELECT 'recorded', '', state, count(*)
FROM payment
WHERE pay_number = '' AND created_at >= $1 AND created_at < $2
  AND ($3::text = '' OR channel = $3) AND ($4::text = '' OR currency = $4)
  AND ($5::text = '' OR payment_id > $5 || '/' AND payment_id < $5 || '0')
GROUP BY 3
ORDER BY 1, 2, 3
"""

# A whole small database.

ALL_PAYMENTS = f"SELECT {PAYMENT_ROW} FROM payment ORDER BY payment_id"
ALL_INSTRUCTIONS = f"SELECT {INSTRUCTION_ROW} FROM instruction ORDER BY instruction_id"
ALL_RECEIPTS = f"SELECT {RECEIPT_ROW} FROM receipt ORDER BY key"
ALL_FACTS = f"SELECT {FACT_ROW} FROM fact ORDER BY fact_id"
ALL_CASES = f"SELECT {CASE_ROW} FROM operator_case ORDER BY case_id"
ALL_EVENTS = """
SELECT coalesce(feed.position, 0), object_id, sequence, body
FROM event LEFT JOIN feed USING (event_id) ORDER BY feed.position NULLS LAST, event_id
"""
ALL_ENTRIES = """
SELECT object_id, sequence, debit, credit, minor, currency FROM entry ORDER BY event_id, line
"""
ALL_BALANCES = """
SELECT account, currency, sum(balance)::bigint FROM account
GROUP BY account, currency ORDER BY account, currency
"""
NOW = "SELECT clock_ms()"
