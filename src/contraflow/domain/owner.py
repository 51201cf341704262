"""Whose a payment is: what a caller may see and change, and nothing else exists for it."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from contraflow.domain.ids import tenant_of
from contraflow.domain.instruction import Labels
from contraflow.domain.payment import Payment

LABELS = msgspec.json.Decoder(Labels)


class Owner(Struct, frozen=True, kw_only=True, gc=False):
    """A caller with a key: of one tenant, perhaps of one merchant, in test or in earnest."""

    tenant: str
    merchant: str = ""  # Empty: all of the tenant.
    channels: frozenset[str]  # That its mode reaches.

    def owns(self, payment: Payment) -> bool:
        if tenant_of(payment.payment_id) != self.tenant or payment.channel not in self.channels:
            return False
        return not self.merchant or LABELS.decode(payment.labels).merchant == self.merchant
