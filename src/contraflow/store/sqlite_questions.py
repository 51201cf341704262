"""The SQL behind the views; nothing here writes."""

from __future__ import annotations

ONLY_READ = """
PRAGMA query_only = ON;
PRAGMA busy_timeout = 5000;
PRAGMA trusted_schema = OFF;
PRAGMA mmap_size = 0;
PRAGMA cache_size = -16384;
"""

PAYMENT = "SELECT * FROM payment WHERE payment_id = ?"
INSTRUCTION = "SELECT * FROM instruction WHERE instruction_id = ?"
INSTRUCTIONS_OF = """
SELECT * FROM instruction WHERE payment_id = ? ORDER BY requested_at, leg, instruction_id
"""
LIST_INSTRUCTIONS = """
SELECT * FROM instruction
WHERE instruction_id > ?1 AND instruction_id < ?2
  AND (?3 = '' OR state = ?3) AND (?4 = '' OR kind = ?4) AND (?5 = '' OR channel = ?5)
ORDER BY instruction_id LIMIT ?6
"""
IN_ATTENTION = """
SELECT * FROM instruction
WHERE state = 'attention'
  AND (?1 = '' OR instruction_id > ?1 || '/' AND instruction_id < ?1 || '0')
ORDER BY deadline_at, instruction_id
"""
OPEN_CASES = """
SELECT * FROM operator_case
WHERE closed_at IS NULL
  AND (?1 = '' OR object_id > ?1 || '/' AND object_id < ?1 || '0')
ORDER BY deadline_at, case_id
"""
EVENTS_OF = """
SELECT position, object_id, sequence, body FROM json_each(?) AS wanted
CROSS JOIN event ON object_id = wanted.value
ORDER BY position
"""
ENTRIES_OF = """
SELECT entry.position, debit, credit, minor, currency FROM json_each(?) AS wanted
CROSS JOIN event ON event.object_id = wanted.value
CROSS JOIN entry ON entry.position = event.position
ORDER BY entry.position, line
"""
RECEIPT = "SELECT * FROM receipt WHERE key = ?"
HOLDS = "SELECT scope FROM hold ORDER BY scope"
LINES_OF = "SELECT number, answer FROM line WHERE source = ? ORDER BY number"
BALANCES = "SELECT account, currency, balance FROM account ORDER BY account, currency"

FINISHED = """
SELECT kind, state, mode, requested_at, sent_at, known_at, final_at, withdrawal FROM instruction
WHERE final_at >= ?1 AND final_at < ?2
  AND (?3 = '' OR channel = ?3) AND (?4 = '' OR currency = ?4)
  AND (?5 = '' OR instruction_id > ?5 || '/' AND instruction_id < ?5 || '0')
ORDER BY final_at, instruction_id
"""
COUNTS = """
SELECT
    count(DISTINCT payment_id) FILTER (
        WHERE final_at >= ?1 AND final_at < ?2
          AND (kind IN ('close', 'void') AND state = 'succeeded'
               OR kind = 'pay' AND state = 'withdrawn')
          AND EXISTS (SELECT 1 FROM payment
                      WHERE payment.payment_id = instruction.payment_id
                        AND payment.state = 'canceled')),
    count(*) FILTER (WHERE kind = 'pay' AND sent_at >= ?1 AND sent_at < ?2)
FROM instruction
WHERE (?3 = '' OR channel = ?3) AND (?4 = '' OR currency = ?4)
  AND (?5 = '' OR instruction_id > ?5 || '/' AND instruction_id < ?5 || '0')
"""
