"""The route of a reversal, one file per step: intake, commit, dispatch, notices, notify.

`async def` without asyncio: only the store, the runtime, the transport and tickets are awaited,
so asyncio drives it in production and a trampoline in the simulation.
"""
