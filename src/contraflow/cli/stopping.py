"""How a process that stays is told to end: SIGTERM, Ctrl-C, or that its terminal is gone."""

from __future__ import annotations

import asyncio
import signal

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def stop_event() -> asyncio.Event:
    """Set once the process is told to end; from now on it does not end by itself.

    What nohup has it ignore stays ignored.
    """
    stopped = asyncio.Event()
    for each in STOPPING:
        if each is not signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(each, stopped.set)
    return stopped
