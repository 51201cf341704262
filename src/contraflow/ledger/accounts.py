"""The chart of accounts: one set for each tenant, channel and currency."""

from __future__ import annotations

from contraflow.domain.word import Word


class Account(Word):
    MERCHANT = "merchant.payable"  # What we owe the merchant.
    IN_FLIGHT = "refunds.in_flight"  # Reserved for refunds that are not final.
    CHANNEL = "channel.receivable"  # What the channel owes us.
    LOSS = "loss.over_reversal"  # What left beyond what was captured.


def account_name(account: Account, *, tenant: str, channel: str) -> str:
    """`tenant/channel/account`; the currency is a column beside it."""
    return f"{tenant}/{channel}/{account}"
