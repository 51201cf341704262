"""Being told to end by a signal, for who looks now and then whether that has happened."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stop:
    """Whether we have been told to."""

    is_told = False

    def tell(self, *_: object) -> None:
        self.is_told = True


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """What is ignored stays so, as nohup means it; but a shell's `&` means nothing by SIGINT."""
    stop = Stop()
    chosen = [
        each
        for each in STOPPING
        if each is signal.SIGINT or signal.getsignal(each) is not signal.SIG_IGN
    ]
    before = {each: signal.signal(each, stop.tell) for each in chosen}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
