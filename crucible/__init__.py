"""A crash campaign: many processes under load are killed and paused, and nothing may be lost.

It shares no code with the engine: it starts contraflow's programs as processes, talks to their
doors as a client and as a bank, and judges by what the client was told, what the bank has in its
book, and an export of the ledger.
"""
