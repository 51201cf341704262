"""A crash campaign: many processes under load are killed and paused, and nothing may be lost.

It shares no code with the engine: it starts contraflow's programs as processes, talks to their
doors as a client and as a bank, and judges by what the clients were told, what the bank has in its
book, and an export of the ledger. `python -m crucible` is its door; `fleet.py` says who takes part,
`killer.py` what is done to them, `campaign.py` in which order, `check_*.py` what must hold then.
"""
