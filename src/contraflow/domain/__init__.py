"""What is true about payments and their reversals. Pure: no I/O, no clock, no randomness.

Values are frozen structs. Times are milliseconds of the store's clock (UTC), amounts whole minor
units of an ISO 4217 currency, and every id starts with its tenant (`tenant/name`).
"""
