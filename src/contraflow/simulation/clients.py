"""What the clients ask for, and what they were told."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from contraflow.domain import commands as c
from contraflow.domain.decision import Answer, Receipt, Refused, Told
from contraflow.domain.ids import qualified
from contraflow.domain.instruction import Timing
from contraflow.domain.money import Money
from contraflow.domain.observation import ChargedBack, Dispute, Observation
from contraflow.domain.outcome import Evidence, Proof
from contraflow.domain.payment import Capturing
from contraflow.engine.papers import ReceiptBody
from contraflow.errors import ErrorCode, InvariantBroken
from contraflow.outside.bank_scripts import Script
from contraflow.simulation.faults import Fault, Faults
from contraflow.wire import canonical

TENANT = "main"
PAYMENTS = 7
REQUESTS = 14
PAID_MS_MAX = 2_000
ASK_MS_MAX = 30_000
SOON_MS_MAX = 800
AMOUNT = 1_000
LIARS = frozenset({Script.IGNORE_IDEMPOTENCY})
DECLARED: Sequence[Script] = [script for script in Script if script not in LIARS]
RECEIPT = msgspec.json.Decoder(ReceiptBody)


@dataclass(slots=True)
class Clients:
    """`is_liar`: the channels contradict what they declare."""

    prng: random.Random
    faults: Faults
    is_liar: bool
    receipts: dict[str, Receipt] = field(default_factory=dict)  # As first told, by key.
    scripts: dict[str, Script] = field(default_factory=dict)  # Of reversals, by payment.
    disputes: list[ChargedBack] = field(default_factory=list)  # About what nobody may know.
    asked: int = 0

    def begin(self) -> Iterator[tuple[int, c.Command]]:
        for n in range(PAYMENTS):
            yield self.prng.randrange(PAID_MS_MAX), self.payment(n)
        for n in range(REQUESTS):
            at = PAID_MS_MAX // 2 + self.prng.randrange(ASK_MS_MAX)
            command = self.request(f"r{n}")
            yield at, command
            if self.faults.strike(Fault.KEY_REPEATED, 0.1):  # Often within the same batch.
                yield at, command
        if self.faults.strike(Fault.HOLD_MODE, 0.3):
            at = self.prng.randrange(ASK_MS_MAX)
            scope = self.prng.choice(("all", "channel:sandbox", f"merchant:{TENANT}"))
            yield at, self.switch(scope, is_on=True)
        if self.faults.strike(Fault.NOTICE_OF_NOTHING, 0.3):
            yield self.prng.randrange(PAID_MS_MAX), self.notice_of_nothing()

    def switch(self, scope: str, *, is_on: bool) -> c.SwitchHold:
        key = qualified(TENANT, f"hold-{scope}-{is_on}")
        mark = canonical.fingerprint({"scope": scope, "on": is_on})
        return c.SwitchHold(key=key, fingerprint=mark, scope=scope, is_on=is_on)

    def notice_of_nothing(self) -> c.RecordFact:
        """A dispute about a payment that nobody knows, or not yet."""
        payment_id = qualified(TENANT, f"pay{self.prng.randrange(3) * PAYMENTS}")
        currency = self.prng.choice(("CNY", "USD"))
        dispute = ChargedBack(payment_id, "dispute_0", Dispute.LOST, Money(77, currency))
        evidence = Evidence(proof=Proof.SIGNATURE, code="chargeback.lost")
        self.disputes.append(dispute)
        told = Observation("event_0", dispute, evidence)
        return c.RecordFact(channel="sandbox", observation=told)

    def payment(self, n: int) -> c.ClientCommand:
        payment_id, prng = qualified(TENANT, f"pay{n}"), self.prng
        channel = "sandbox_rail" if n % 3 == 2 else "sandbox"
        instrument = self.instrument(payment_id)
        amount, key = Money(AMOUNT, "CNY"), qualified(TENANT, f"p{n}")
        mark = canonical.fingerprint({"payment": payment_id, "instrument": instrument})
        if n < 2 or prng.random() < 0.4:
            return c.RecordPayment(
                key=key,
                fingerprint=mark,
                payment_id=payment_id,
                channel=channel,
                method=("", "card", "qr")[n % 3],
                instrument=instrument,
                amount=amount,
                is_captured=prng.random() < 0.85,
            )
        return c.CreatePayment(
            key=key,
            fingerprint=mark,
            payment_id=payment_id,
            channel=channel,
            instrument=instrument,
            amount=amount,
            capturing=prng.choice((Capturing.AUTOMATIC, Capturing.MANUAL)),
            expires_at=prng.choice((None, None, PAID_MS_MAX + prng.randrange(ASK_MS_MAX))),
        )

    def instrument(self, payment_id: str) -> str:
        """The script of the payment's reversals, or of its payment commands."""
        if self.is_liar and self.prng.random() < 0.5:
            script = Script.IGNORE_IDEMPOTENCY
        elif self.prng.random() < 0.35:
            script = Script.OK
        else:
            script = self.prng.choice(DECLARED)
        self.scripts[payment_id] = script
        return f"tok_{'pay_' if self.prng.random() < 0.15 else ''}{script}"

    def request(self, name: str) -> c.ClientCommand:
        prng = self.prng
        payment_id = qualified(TENANT, f"pay{prng.randrange(PAYMENTS + (prng.random() < 0.1))}")
        amount = Money(prng.randrange(1, AMOUNT * 2 // 3), "CNY")
        timing = prng.choice((Timing.SYNCHRONOUS, Timing.ASYNCHRONOUS))
        key = qualified(TENANT, name)
        drawn = prng.random()
        mark = canonical.fingerprint({"payment": payment_id, "of": name, "minor": amount.minor})
        if drawn < 0.6:
            return c.RequestRefund(
                key=key,
                fingerprint=mark,
                payment_id=payment_id,
                amount=amount,
                timing=timing,
                for_review=prng.random() < 0.1,
                expected_refundable=AMOUNT if prng.random() < 0.1 else None,
            )
        if drawn < 0.72:
            return c.RequestCancel(key=key, fingerprint=mark, payment_id=payment_id, timing=timing)
        if drawn < 0.8:
            return c.RequestCapture(
                key=key,
                fingerprint=mark,
                payment_id=payment_id,
                amount=prng.choice((None, amount)),
            )
        if drawn < 0.85:
            return c.RecordCapture(key=key, fingerprint=mark, payment_id=payment_id, amount=amount)
        return c.RequestReversal(
            key=key, fingerprint=mark, payment_id=payment_id, amount=prng.choice((None, amount))
        )

    def hear(self, command: c.Command, answer: Answer) -> None:
        """I17 and I18: one key, one receipt, byte for byte; another request is refused."""
        if not isinstance(command, c.Keyed):
            return
        self.asked += 1
        known = self.receipts.get(command.key)
        if known is not None and known.fingerprint != command.fingerprint:
            if not isinstance(answer, Refused) or answer.code is not ErrorCode.KEY_REUSED:
                raise InvariantBroken("I18", f"{command} was answered {answer}")
            return
        if not isinstance(answer, Told) or answer.receipt.fingerprint != command.fingerprint:
            raise InvariantBroken("I17", f"{command} was answered {answer}")
        if self.receipts.setdefault(command.key, answer.receipt) != answer.receipt:
            raise InvariantBroken("I17", f"{answer} after {known}")

    def follow_up(self, command: c.Command, now: int) -> Iterator[tuple[int, c.Command]]:
        """An answered client may ask again, ask for something else, or want it back."""
        if not isinstance(command, c.Keyed) or command.key not in self.receipts:
            return
        prng, faults = self.prng, self.faults
        at, soon = now + prng.randrange(ASK_MS_MAX), now + prng.randrange(SOON_MS_MAX)
        if isinstance(command, c.SwitchHold) and command.is_on:
            yield at + 5_000, self.switch(command.scope, is_on=False)
        is_first = isinstance(
            command, c.RequestRefund | c.RequestCancel | c.RequestReversal | c.RequestCapture
        )
        if not is_first:
            return
        if faults.strike(Fault.KEY_REPEATED, 0.15):
            yield at, command
        if faults.strike(Fault.KEY_REUSED, 0.1):
            yield at, replace(command, fingerprint=canonical.fingerprint({"other": command.key}))
        for leg in RECEIPT.decode(self.receipts[command.key].body).legs:
            mark = canonical.fingerprint({"of": leg.id})
            if faults.strike(Fault.WITHDRAWN, 0.2):
                key = f"{command.key}-w{leg.number}"
                yield soon, c.WithdrawReversal(key=key, fingerprint=mark, instruction_id=leg.id)
            if getattr(command, "for_review", False):
                key = f"{command.key}-h{leg.number}"
                answer = prng.choice((c.ReleaseHold, c.RejectHold))
                yield at, answer(key=key, fingerprint=mark, instruction_id=leg.id)
