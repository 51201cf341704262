"""Many refunds of one payment look like a leak."""

from __future__ import annotations

from msgspec import Struct

from contraflow.domain.commands import RequestRefund, RequestReversal
from contraflow.domain.snapshot import Snapshot


class ManyPartials(Struct, frozen=True):
    name: str = "many_partials"
    refunds_max: int = 10

    def rejects(self, command: RequestRefund | RequestReversal, snapshot: Snapshot) -> bool:
        payment = snapshot.payments.get(command.payment_id)
        return payment is not None and payment.refunds >= self.refunds_max


RULE = ManyPartials()
