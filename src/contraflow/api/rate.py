"""How many requests a caller may make, in this process; beside it there may be others."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

CALLERS_MAX = 10_000


@dataclass(slots=True)
class Bucket:
    left: float
    filled_at: float  # Seconds of the monotonic clock.


@dataclass(slots=True)
class Rates:
    """A bucket of `quota` for each caller, which fills again within `window_s` seconds."""

    name: str
    quota: int
    window_s: int
    buckets: OrderedDict[str, Bucket] = field(default_factory=OrderedDict)

    @property
    def policy(self) -> str:
        """RateLimit-Policy, as draft-ietf-httpapi-ratelimit-headers-10 has it."""
        return f'"{self.name}";q={self.quota};w={self.window_s}'

    def is_empty(self, caller: str, now: float) -> bool:
        """Nothing is left, and nothing is taken."""
        bucket = self.buckets.get(caller)
        return bucket is not None and bucket.left + self._gained(bucket, now) < 1

    def take(self, caller: str, now: float) -> int:
        """What is left after this one, or -1 if it is one too many."""
        bucket = self.buckets.get(caller)
        if bucket is None:
            bucket = self.buckets[caller] = Bucket(float(self.quota), now)
            if len(self.buckets) > CALLERS_MAX:
                self.buckets.popitem(last=False)
        else:
            self.buckets.move_to_end(caller)
        bucket.left = min(float(self.quota), bucket.left + self._gained(bucket, now))
        bucket.filled_at = now
        if bucket.left < 1:
            return -1
        bucket.left -= 1
        return int(bucket.left)

    def _gained(self, bucket: Bucket, now: float) -> float:
        return (now - bucket.filled_at) * self.quota / self.window_s

    def told(self, left: int) -> str:
        """RateLimit: how much is left, and until when it is full again."""
        full_in_s = -(-(self.quota - max(left, 0)) * self.window_s // self.quota)
        return f'"{self.name}";r={max(left, 0)};t={full_in_s}'

    def retry_after_s(self) -> int:
        return max(1, -(-self.window_s // self.quota))
