"""What only the simulation can check, because only it knows what the bank really did."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from contraflow.domain.cases import CaseKind
from contraflow.domain.instruction import Instruction, Kind, numbers_of
from contraflow.domain.lifecycle import FINAL, PaymentState, State
from contraflow.domain.payment import Payment
from contraflow.errors import InvariantBroken
from contraflow.outside.bank_book import Order
from contraflow.outside.bank_scripts import CONDUCTS
from contraflow.simulation.truth_outside import check_outside
from contraflow.simulation.world import World
from contraflow.store import Contents

GAP_MS = {"sandbox_rail": 10_000}
DONE = frozenset({State.SUCCEEDED, State.BOUNCED})
UNDONE = frozenset({State.FAILED, State.WITHDRAWN})


def check_effects(world: World, contents: Contents) -> None:
    """I2, I3, I5, I6, I26: nothing that the bank's own book contradicts, at any moment."""
    orders = world.bank.orders()
    known: set[str] = set()
    for instruction in contents.instructions.values():
        times = 0
        for number in numbers_of(instruction):
            known.add(number)
            order = orders.get(number)
            times += order.times if order else 0
        check_bytes(world, instruction)
        if times > 1 and not world.is_liar:
            raise InvariantBroken("I2", f"{times} effects of {instruction}")
        if instruction.state in DONE and times == 0:
            raise InvariantBroken("I6", f"nothing happened, yet {instruction}")
        if instruction.state in UNDONE and times and not world.is_liar:
            raise InvariantBroken("I5", f"it happened, yet {instruction}")
    for number, order in orders.items():
        if number not in known and order.times:
            raise InvariantBroken("I2", f"an effect that nobody asked for: {order}")
    check_spacing(contents)


def check_bytes(world: World, instruction: Instruction) -> None:
    """I3, I5, I26: of one number every attempt is the same; none too late, and not too many."""
    attempts, is_late = 0, False
    for number in numbers_of(instruction):
        sent = world.first_bytes.get(number, ())
        attempts += len(sent)
        is_late = is_late or any(at > (instruction.leave_by or 0) for at, _, _ in sent)
        if len({body for _, _, body in sent}) > 1:
            raise InvariantBroken("I3", f"different bytes under {number}")
    if attempts > instruction.attempt:
        raise InvariantBroken("I3", f"{attempts} submissions, {instruction.attempt} marked")
    if is_late:
        raise InvariantBroken("I5", f"a byte left too late for any proof: {instruction}")
    tries_max = world.settings.attempts_max + world.redirected[instruction.instruction_id]
    if instruction.tries > tries_max:
        raise InvariantBroken("I26", f"too many attempts: {instruction}")


def check_spacing(contents: Contents) -> None:
    """I26: refunds of one payment keep the gap that its channel declares, as marked."""
    marks: defaultdict[str, list[int]] = defaultdict(list)
    for instruction in contents.instructions.values():
        if instruction.kind is Kind.REFUND and instruction.sent_at is not None:
            marks[instruction.payment_id].append(instruction.sent_at)
    for payment_id, times in marks.items():
        channel = contents.payments[payment_id].channel
        times.sort()
        for earlier, later in pairwise(times):
            if later - earlier < GAP_MS.get(channel, 0):
                raise InvariantBroken("I26", f"{payment_id} refunded at {earlier} and {later}")


def check_at_rest(world: World, contents: Contents) -> None:
    """I4, I7, I19, I24, I25, once the faults have stopped and all has been answered."""
    orders = world.bank.orders()
    for instruction in contents.instructions.values():
        if instruction.state is State.ATTENTION:
            check_honest(world, instruction)
            continue
        if instruction.state not in FINAL:
            raise InvariantBroken("I24", f"not final, and no operator knows: {instruction}")
        if not world.is_liar:
            own = [orders[n] for n in numbers_of(instruction) if n in orders]
            check_truth(instruction, own)
            check_belief(world, instruction, own)
    check_the_rest(world, contents)


def check_the_rest(world: World, contents: Contents) -> None:
    """I7, I19 and I25: payments, operators' cases, and what the clients were told."""
    for payment in contents.payments.values():
        check_payment(payment)
    for case in contents.cases.values():
        if case.kind is CaseKind.QUARANTINED:
            raise InvariantBroken("I25", f"set aside: {case}")
    for key, receipt in world.clients.receipts.items():
        if contents.receipts.get(key) != receipt:
            raise InvariantBroken("I19", f"{receipt} was told and is not kept")
    if world.is_liar:
        check_detection(world, contents)
    else:
        check_outside(world, contents)


def check_truth(instruction: Instruction, orders: list[Order]) -> None:
    """I4: succeeded if and only if the effect exists, with equal amount and currency."""
    effects = [order for order in orders if order.times]
    if (instruction.state in DONE) != bool(effects):
        raise InvariantBroken("I4", f"{effects}, yet {instruction}")
    has_bounced = any(order.bounced for order in effects)
    if has_bounced != (instruction.state is State.BOUNCED):
        raise InvariantBroken("I4", f"bounced: {has_bounced}, yet {instruction}")
    for order in effects:
        if (order.minor, order.currency, order.payment) != (
            instruction.minor,
            instruction.currency,
            instruction.payment_id,
        ):
            raise InvariantBroken("I4", f"{order}, yet {instruction}")


def check_belief(world: World, instruction: Instruction, orders: list[Order]) -> None:
    """I6: where the bank names another amount or currency, only a person books a success."""
    if instruction.state not in DONE or instruction.instruction_id in world.believed:
        return
    for order in orders:
        conduct = CONDUCTS[order.script]
        if conduct.names_minor_more or conduct.names_other_currency:
            raise InvariantBroken("I6", f"{order} named something else, yet {instruction}")


def check_honest(world: World, instruction: Instruction) -> None:
    """I25: no operator's case that no channel fault has caused."""
    if instruction.payment_id not in world.struck:
        raise InvariantBroken("I25", f"no fault has caused {instruction}")


def check_payment(payment: Payment) -> None:
    """I7: a cancel against a capture ends in exactly one of the two."""
    if payment.state is PaymentState.CANCELED and payment.captured:
        raise InvariantBroken("I7", f"canceled and captured: {payment}")
    if payment.state is PaymentState.CANCELED and payment.capturable:
        raise InvariantBroken("I7", f"canceled, and still to be captured: {payment}")
    if payment.state is PaymentState.CAPTURED and not payment.captured:
        raise InvariantBroken("I7", f"captured nothing: {payment}")


def check_detection(world: World, contents: Contents) -> None:
    """A double effect is beyond any engine's power, but it must not go unnoticed."""
    orders = world.bank.orders()
    noticed = {case.object_id for case in contents.cases.values()}
    for instruction in contents.instructions.values():
        own = [orders[n] for n in numbers_of(instruction) if n in orders]
        is_known = instruction.state is State.ATTENTION or instruction.instruction_id in noticed
        if sum(order.times for order in own) > 1 and not is_known:
            raise InvariantBroken("I2", f"it acted twice, and nobody was told: {instruction}")
