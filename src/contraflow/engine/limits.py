"""Everything has a limit; here they all are."""

from contraflow.domain.money import AMOUNT_MINOR_MAX

BATCH_COMMANDS_MAX = 512  # Commands of one transaction.
REQUESTS_WAITING_MAX = 4_096  # Requests that wait for a batch; one more is told to come back.
DELIVER_MAX = 256  # Events that one step hands to a sink.
LOOKED_AT_MAX = 2_000  # Rows of one page of a list, whether they are wanted or not.
LISTED_MAX = 1_000  # Objects of one reference of a merchant.
ENDPOINTS_MAX = 100  # Webhook endpoints of one tenant.
ENDPOINT_POSTS_MAX = 4  # Under way at once to one of them, from one process.
POSTS_MAX = 64  # To all.
REPLAYED_MAX = 1_000  # Events that one request to send them again looks at.
PURGED_MAX = 5_000  # Old deliveries of one endpoint that one step removes.
FILE_BYTES_MAX = 256 * 1024 * 1024  # Of a file of refunds.
FILE_LINES_MAX = 1_000_000
CHUNK_LINES = 1_000  # Of such a file that are kept in one row.
WINDOW_LINES = 250  # Of it that wait for a batch at one time.
TIMERS_MAX = 64  # Payments and parked facts of one step.

BREATH_MS = 200  # Between two looks at the same full slots.
WATCH_PAUSE_MS = 20  # Between two looks at what other processes have brought to rest.
REPLY_WITHIN_MS = 30_000  # From the first byte to the last of the reply.
LEASE_MARGIN_MS = 10_000  # From the last byte of a late reply until somebody else takes over.
LEAVE_WITHIN_MS_MAX = 20_000  # The most that a channel may declare.
ENDPOINTS_FRESH_MS = 500  # Until a change of an endpoint is seen everywhere.
POST_WITHIN_MS = 15_000  # One attempt to deliver a webhook.
WEBHOOK_POLL_MS = 1_000
BATCH_LEASE_MS = 15_000  # Until another process goes on with a file of refunds.
BATCH_POLL_MS = 1_000
DAY_MS = 24 * 3_600_000  # After its schedule a channel is asked daily.
WEBHOOK_KEPT_MS = 30 * DAY_MS  # A delivery that came to its end.
WEBHOOK_DEAD_MS = 5 * DAY_MS  # An endpoint that took nothing for so long is disabled.
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
assert CHUNK_LINES % WINDOW_LINES == 0, "a window never spans two rows"
assert WINDOW_LINES < REQUESTS_WAITING_MAX // 2
