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
PAYMENTS = """
SELECT payment.* FROM json_each(?) AS wanted CROSS JOIN payment ON payment_id = wanted.value
"""
INSTRUCTIONS = """
SELECT instruction.* FROM json_each(?) AS wanted
CROSS JOIN instruction ON instruction_id = wanted.value
"""
PAYMENTS_BEFORE = """
SELECT * FROM payment INDEXED BY payment_time
WHERE substr(payment_id, 1, instr(payment_id, '/')) = ?1 AND created_at >= ?4
  AND (created_at, payment_id) < (?2, ?3)
ORDER BY created_at DESC, payment_id DESC LIMIT ?5
"""
INSTRUCTIONS_BEFORE = """
SELECT * FROM instruction INDEXED BY instruction_time
WHERE substr(instruction_id, 1, instr(instruction_id, '/')) = ?1 AND requested_at >= ?4
  AND (requested_at, instruction_id) < (?2, ?3)
ORDER BY requested_at DESC, instruction_id DESC LIMIT ?5
"""
NAMED = """
SELECT object_id FROM merchant_reference WHERE reference = ? ORDER BY object_id LIMIT ?
"""
EVENTS_AFTER = """
SELECT position, object_id, sequence, body FROM event WHERE position > ? ORDER BY position LIMIT ?
"""
LAST_POSITION = "SELECT coalesce(max(position), 0) FROM event"
AT_REST = """
SELECT instruction_id FROM json_each(?) AS wanted
CROSS JOIN instruction ON instruction_id = wanted.value
WHERE final_at IS NOT NULL OR state = 'attention'
"""
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
IN_REVIEW = """
SELECT * FROM instruction
WHERE state = 'held' AND waiting = 'review'
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
SELECT kind, state, requested_at, sent_at, known_at, final_at FROM instruction
WHERE final_at >= ?1 AND final_at < ?2
  AND (?3 = '' OR channel = ?3) AND (?4 = '' OR currency = ?4)
  AND (?5 = '' OR instruction_id > ?5 || '/' AND instruction_id < ?5 || '0')
ORDER BY final_at, instruction_id
"""
SENT = """
SELECT kind, instruction.state, payment.state, count(*)
FROM instruction JOIN payment USING (payment_id)
WHERE sent_at >= ?1 AND sent_at < ?2
  AND (?3 = '' OR instruction.channel = ?3) AND (?4 = '' OR instruction.currency = ?4)
  AND (?5 = '' OR instruction_id > ?5 || '/' AND instruction_id < ?5 || '0')
GROUP BY 1, 2, 3
UNION ALL
SELECT 'recorded', '', state, count(*)
FROM payment
WHERE pay_number = '' AND created_at >= ?1 AND created_at < ?2
  AND (?3 = '' OR channel = ?3) AND (?4 = '' OR currency = ?4)
  AND (?5 = '' OR payment_id > ?5 || '/' AND payment_id < ?5 || '0')
GROUP BY 3
ORDER BY 1, 2, 3
"""
QUICK_CHECK = "PRAGMA quick_check"
