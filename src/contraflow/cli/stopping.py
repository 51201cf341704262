"""How a process that stays is told to end: SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import signal

STOPPING = (signal.SIGTERM, signal.SIGINT)


def stop_event() -> asyncio.Event:
    """Set once the process is told to end; from now on it does not end by itself."""
    stopped = asyncio.Event()
    for each in STOPPING:
        asyncio.get_running_loop().add_signal_handler(each, stopped.set)
    return stopped
