"""Everything has a limit; here they all are."""

from contraflow.domain.money import AMOUNT_MINOR_MAX

BATCH_COMMANDS_MAX = 512  # Commands of one transaction.
REQUESTS_WAITING_MAX = 4_096  # Requests that wait for a batch; one more is told to come back.
DELIVER_MAX = 256  # Events that one step hands to a sink.
TIMERS_MAX = 64  # Payments and parked facts of one step.

BREATH_MS = 200  # Between two looks at the same full slots.
WATCH_PAUSE_MS = 20  # Between two looks at what other processes have brought to rest.
REPLY_WITHIN_MS = 30_000  # From the first byte to the last of the reply.
LEASE_MARGIN_MS = 10_000  # From the last byte of a late reply until somebody else takes over.
LEAVE_WITHIN_MS_MAX = 20_000  # The most that a channel may declare.
DAY_MS = 24 * 3_600_000  # After its schedule a channel is asked daily.
RETRY_LATER_MS = 500  # After a rate limit; doubled at every attempt.
RETRY_LATER_MS_MAX = 300_000
BREAKER_FAILURES_MAX = 8  # Calls in a row that did not get through, until sending pauses.
BREAKER_PAUSE_MS = 5_000
DRAIN_MS_MAX = 5_000  # How long calls in flight may hold up the end of a process.
HAND_BACK_MS_MAX = 1_500  # And how long the database may.
SUSPECT_FAILURES_MAX = 2  # An object in so many failed batches is set aside.
DETAIL_MAX = 2_000  # Characters of a command that a case quotes.
CAREFUL_COMMITS = 256  # One by one after a failed check, until the suspicion is dropped.

assert BATCH_COMMANDS_MAX * AMOUNT_MINOR_MAX < 2**63, "a batch must not overflow a balance"
assert DELIVER_MAX <= BATCH_COMMANDS_MAX
