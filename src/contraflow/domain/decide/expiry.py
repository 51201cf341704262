"""What follows when the payer may no longer pay?"""

from __future__ import annotations

import hashlib

from msgspec.structs import replace

from contraflow.domain.commands import ExpirePayment, RequestCancel
from contraflow.domain.decide.cancel import unsent_payment_command
from contraflow.domain.decision import Accepted, Decision, Refused
from contraflow.domain.ids import policy_key
from contraflow.domain.lifecycle import UNPAID, Step
from contraflow.domain.movement import walk
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode


def decide_expiry(snapshot: Snapshot, command: ExpirePayment) -> Decision:
    """What was never sent has expired; what the channel may know is closed first."""
    payment = snapshot.payments.get(command.payment_id)
    if payment is None:
        return Refused(ErrorCode.PAYMENT_UNKNOWN, command.payment_id)
    expires_at = payment.expires_at
    if payment.state not in UNPAID or expires_at is None or snapshot.now < expires_at:
        return Refused(ErrorCode.STATE_FORBIDS, f"{payment.state} until {expires_at}")
    unsent = unsent_payment_command(snapshot, payment)
    if unsent is not None:
        taken = replace(unsent, lease=unsent.lease + 1, failure="expired")
        return walk(snapshot.now, payment, taken, (Step.EXPIRE,))
    key = policy_key(payment.payment_id, f"expiry/{payment.payment_id}")
    cancel = RequestCancel(
        key=key, fingerprint=hashlib.sha256(key.encode()).digest(), payment_id=payment.payment_id
    )
    return Accepted(payment=replace(payment, expires_at=None), follow_ups=(cancel,))
