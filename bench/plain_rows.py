"""What the usual way writes, whatever it writes it with: rows, and bodies in JSON of its own."""

from __future__ import annotations

import json
from typing import Any

from contraflow.domain.commands import RequestRefund
from contraflow.domain.ids import number_for, tenant_of

ACCEPTED_SIDES = ("merchant.payable", "refunds.in_flight")
SUCCEEDED_SIDES = ("refunds.in_flight", "channel.receivable")
EVIDENCE = ("proof", "code", "status", "request_sha256", "reply_sha256")


def born(asked: RequestRefund, channel: str, now: int) -> dict[str, Any]:
    """The columns of an instruction; those that are missing are null."""
    number = number_for(payment_id=asked.payment_id, key=asked.key)
    return {
        "version": 1,
        "instruction_id": f"{tenant_of(asked.payment_id)}/{number}",
        "payment_id": asked.payment_id,
        "channel": channel,
        "kind": "refund",
        "mode": "asynchronous_refund",
        "minor": asked.amount.minor,
        "currency": asked.amount.currency,
        "key": asked.key,
        "leg": 0,
        "is_fallback": False,
        "capture_id": "",
        "requested_at": now,
        "labels": asked.labels,
        "state": "accepted",
        "number": number,
        "generation": 0,
        "withdrawal": "none",
        "waiting": "",
        "fruitless": 0,
        "sequence": 1,
        "due_at": now,
        "lease": 0,
        "attempt": 0,
        "in_doubt": False,
        "reference": "",
        "failure": "",
    }


def receipt_body(instruction: Any, now: int) -> bytes:
    body = {
        "at": now,
        "currency": instruction.currency,
        "decision": "accepted",
        "legs": [
            {
                "id": instruction.instruction_id,
                "kind": instruction.kind,
                "minor": instruction.minor,
                "number": instruction.number,
            }
        ],
        "payment": instruction.payment_id,
        "v": 1,
    }
    return json_of(body)


def event_body(instruction: Any, facts: dict[str, Any], now: int) -> bytes:
    body = {
        "at": now,
        "attempt": instruction.attempt,
        "channel": instruction.channel,
        "currency": instruction.currency,
        "id": instruction.instruction_id,
        "kind": instruction.kind,
        "minor": instruction.minor,
        "number": instruction.number,
        "payment": instruction.payment_id,
        "reference": instruction.reference,
        "sequence": instruction.sequence,
        "state": instruction.state,
        "type": f"{instruction.kind}.{instruction.state}",
        "v": 1,
        **facts,
    }
    return json_of(body)


def accounts_of(instruction: Any, sides: tuple[str, str]) -> tuple[str, str]:
    tenant = tenant_of(instruction.payment_id)
    debit, credit = (f"{tenant}/{instruction.channel}/{side}" for side in sides)
    return debit, credit


# What an event says beside what the instruction says.


def accepted_facts(asked: RequestRefund, mode: str) -> dict[str, Any]:
    return {"key": asked.key, "labels": json.loads(asked.labels), "mode": mode, "step": "request"}


def sent_facts(leave_by: int) -> dict[str, Any]:
    return {"step": "send", "leave_by": leave_by}


def succeeded_facts(leave_by: int, evidence: Any) -> dict[str, Any]:
    told = {name: getattr(evidence, name) for name in EVIDENCE}
    return {"step": "succeed", "leave_by": leave_by, "evidence": told}


def json_of(body: dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
