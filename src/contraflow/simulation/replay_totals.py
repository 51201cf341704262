"""The end state of a replay, in the form of `expected_totals.json`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

from contraflow.domain.ids import name_of
from contraflow.domain.instruction import Kind
from contraflow.domain.lifecycle import PaymentState, State
from contraflow.domain.payment import Payment
from contraflow.simulation.replay_rows import Row
from contraflow.store import Contents


def totals_of(
    rows: Sequence[Row], answered: Mapping[int, str], contents: Contents
) -> dict[str, object]:
    payments = sorted(contents.payments.values(), key=lambda p: name_of(p.payment_id))
    refunds = [
        i
        for i in contents.instructions.values()
        if i.kind is Kind.REFUND and i.state is State.SUCCEEDED
    ]
    withdrawn = [i for i in contents.instructions.values() if i.state is State.WITHDRAWN]
    states = Counter(state_of(payment) for payment in payments)
    lines = "\n".join(
        f"{name_of(p.payment_id)},{p.captured},{p.refunded},{state_of(p)}" for p in payments
    )
    return {
        "rows": len(rows),
        "payments": len(payments),
        "captured_minor": sum(payment.captured for payment in payments),
        "refunds_succeeded": len(refunds),
        "refunded_minor": sum(refund.minor for refund in refunds),
        "requests_withdrawn": len(withdrawn),
        "payments_canceled": states["canceled"],
        "states": dict(sorted(states.items())),
        "codes": dict(sorted(Counter(answered[row.number] for row in rows).items())),
        "by_kind": dict(
            sorted(Counter(f"{row.kind}/{answered[row.number]}" for row in rows).items())
        ),
        "sha256_of_final_state": hashlib.sha256(lines.encode()).hexdigest(),
    }


def state_of(payment: Payment) -> str:
    if payment.state is not PaymentState.CAPTURED or payment.refunded == 0:
        return payment.state
    return "refunded" if payment.refunded == payment.captured else "partially_refunded"
