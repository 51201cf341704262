"""The rules: one file per command, and one function that routes to them."""

from __future__ import annotations

from contraflow.domain import commands as c
from contraflow.domain.decide.cancel import decide_cancel
from contraflow.domain.decide.capture import decide_capture, decide_recorded_capture
from contraflow.domain.decide.case import decide_resolution
from contraflow.domain.decide.expiry import decide_expiry
from contraflow.domain.decide.fact import decide_fact, decide_parked
from contraflow.domain.decide.hold import decide_rejection, decide_release
from contraflow.domain.decide.inquiry import decide_inquiry
from contraflow.domain.decide.outcome import decide_outcome
from contraflow.domain.decide.payment import decide_creation, decide_record
from contraflow.domain.decide.quarantine import decide_quarantine
from contraflow.domain.decide.refund import decide_refund
from contraflow.domain.decide.reversal import decide_reversal
from contraflow.domain.decide.sent import decide_sent
from contraflow.domain.decide.switch import decide_switch
from contraflow.domain.decide.timer import decide_timer
from contraflow.domain.decide.withdrawal import decide_withdrawal
from contraflow.domain.decision import Decision, Verdict
from contraflow.domain.snapshot import Snapshot


def decide(snapshot: Snapshot, command: c.Command, verdict: Verdict) -> Decision:  # noqa: C901, PLR0912 one case a command
    match command:
        case c.RequestRefund():
            return decide_refund(snapshot, command, verdict)
        case c.MarkSent():
            return decide_sent(snapshot, command)
        case c.RecordOutcome():
            return decide_outcome(snapshot, command)
        case c.ClaimInquiry():
            return decide_inquiry(snapshot, command)
        case c.FireTimer():
            return decide_timer(snapshot, command)
        case c.RecordFact():
            return decide_fact(snapshot, command)
        case c.RecordPayment():
            return decide_record(snapshot, command)
        case c.CreatePayment():
            return decide_creation(snapshot, command)
        case c.RecordCapture():
            return decide_recorded_capture(snapshot, command)
        case c.RequestCapture():
            return decide_capture(snapshot, command)
        case c.RequestCancel():
            return decide_cancel(snapshot, command)
        case c.RequestReversal():
            return decide_reversal(snapshot, command, verdict)
        case c.WithdrawReversal():
            return decide_withdrawal(snapshot, command)
        case c.ReleaseHold():
            return decide_release(snapshot, command)
        case c.RejectHold():
            return decide_rejection(snapshot, command)
        case c.ResolveCase():
            return decide_resolution(snapshot, command)
        case c.SwitchHold():
            return decide_switch(snapshot, command)
        case c.ExpirePayment():
            return decide_expiry(snapshot, command)
        case c.RetryParked():
            return decide_parked(snapshot, command)
        case c.Quarantine():
            return decide_quarantine(snapshot, command)
