"""One of five channels is dead or slow: the other four do not notice, and nothing of it is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import pytest
from house import House, recorded, refund_of

from contraflow.domain.instruction import Instruction
from contraflow.domain.lifecycle import State
from contraflow.engine.gate import Gate
from contraflow.engine.intake import submit
from contraflow.engine.limits import BREATH_MS
from contraflow.errors import ChannelUnreachable, LeaveByMissed, ReplyLost
from contraflow.outside.local_bank import LocalBank
from contraflow.outside.virtual_time import VirtualTime
from contraflow.settings import ChannelSettings, Settings
from contraflow.wire.exchange import Reply, Request
from contraflow.wire.sandbox import Ask

NAMES = ("c1", "c2", "c3", "c4", "c5")
SICK, *WELL = NAMES  # It comes first in every round, so that all others come after it.

SLOTS = 4  # Of each channel.
REPLY_MS = 1_200  # So that a channel can do 3 refunds a second,
EVERY_MS = 500  # and is asked for 2.
FALLS_SICK_MS = 5_000
IS_WELL_AGAIN_MS = 40_000  # Late enough to see what came of the slowest answers.
ENDS_MS = 50_000  # Of the stream; what it leaves behind goes on.
RECOVERS_MS = 600_000  # The longest wait for an inquiry is 4 minutes.
SLOW_MS = 30_000
LOST_EVERY = 10  # Refunds, where replies are lost.

SHARE_MIN = 0.95
PATIENCE_MS = {  # By fault: how long a reply is waited for.
    "refuses": 30_000,
    "unreachable": 30_000,
    "hangs_up": 30_000,
    "answers_nonsense": 30_000,
    "silent": 30_000,
    "slow": 40_000,
    "slower_than_we_wait": 20_000,
}
FAULTS = tuple(PATIENCE_MS)


@dataclass(slots=True)
class Roads:
    """One to each channel, which every payment names; the first one may be out of order."""

    bank: LocalBank
    runtime: VirtualTime
    patience_ms: int
    fault: str = ""
    loses_replies: bool = False  # To some refunds of the other four.
    asked: Counter[str] = field(default_factory=Counter)

    async def send(self, request: Request, leave_by: int) -> Reply:
        ask = msgspec.json.decode(request.body, type=Ask)
        _, channel, number = ask.payment.replace("/", "-").split("-")
        self.asked[channel] += 1
        if channel == SICK and self.fault:
            return await self.suffer(request, leave_by)
        reply = await self.reply_after(REPLY_MS, request, leave_by)
        is_lost = self.loses_replies and ask.action == "refund" and channel != SICK
        if is_lost and int(number) % LOST_EVERY == 0:
            raise ReplyLost
        return reply

    async def suffer(self, request: Request, leave_by: int) -> Reply:
        match self.fault:
            case "refuses":
                raise ChannelUnreachable
            case "unreachable":
                await self.runtime.sleep(leave_by - self.runtime.now())
                raise LeaveByMissed
            case "hangs_up":
                raise ReplyLost
            case "answers_nonsense":
                await self.runtime.sleep(REPLY_MS)
                return Reply(502, b"<html>")
            case "silent":
                await self.runtime.sleep(self.patience_ms)
                raise ReplyLost
            case _:
                return await self.reply_after(SLOW_MS, request, leave_by)

    async def reply_after(self, ms: int, request: Request, leave_by: int) -> Reply:
        """The bank acts at once, as it does whether or not somebody waits for its answer."""
        reply = await self.bank.send(request, leave_by)
        await self.runtime.sleep(min(ms, self.patience_ms))
        if ms > self.patience_ms:
            raise ReplyLost
        return reply


@dataclass(frozen=True, slots=True)
class Stream:
    """What became of the refunds, of which each channel was asked for as many."""

    refunds: dict[str, list[Instruction]]  # By channel.
    begun_at: int
    times: dict[str, int]  # How often the bank moved the money, by number.

    def done(self, channel: str) -> int:
        """How many came to their end while one channel was out of order."""
        sick = range(self.begun_at + FALLS_SICK_MS, self.begun_at + IS_WELL_AGAIN_MS)
        return sum(refund.final_at in sick for refund in self.refunds[channel])

    def delay_ms(self, channel: str) -> int:
        """From the request to the end, at the 99th percentile of the whole stream."""
        delays = sorted(
            refund.final_at - refund.requested_at if refund.final_at else RECOVERS_MS
            for refund in self.refunds[channel]
        )
        return delays[len(delays) * 99 // 100]


def run_stream(
    fault: str, patience_ms: int = 30_000, *, prepare: Callable[[House, Roads], None] | None = None
) -> Stream:
    """Refunds are asked for at one pace, whatever becomes of them."""
    sandbox = ChannelSettings(plugin="sandbox", credentials={"slots": str(SLOTS)})
    channels = dict.fromkeys(NAMES, sandbox)
    house = House(Settings(channels=channels, sinks={}, reply_within_ms=patience_ms))
    roads = Roads(house.road.bank, house.runtime, patience_ms)
    house.parts.transport = roads
    if prepare is not None:
        prepare(house, roads)
    house.start()
    begun_at = house.runtime.now()
    for at in range(0, ENDS_MS, EVERY_MS):
        roads.fault = fault if FALLS_SICK_MS <= at < IS_WELL_AGAIN_MS else ""
        for name in NAMES:
            payment_id = f"main/{name}-{at // EVERY_MS}"
            house.spawn(submit(house.parts.intake, recorded(payment_id, channel=name)))
            house.spawn(submit(house.parts.intake, refund_of(payment_id)))
        house.run_for(EVERY_MS)
    house.run_for(RECOVERS_MS)
    refunds: dict[str, list[Instruction]] = {name: [] for name in NAMES}
    for refund in house.contents().instructions.values():
        refunds[refund.channel].append(refund)
    times = {number: order.times for number, order in house.bank.effects().items()}
    house.close_with_books_in_order()
    return Stream(refunds, begun_at, times)


def slowed(stream: Stream, well: Stream, late_ms: int = 0) -> list[str]:
    """Which of the four did less than their share, or took longer than that."""
    return [
        name
        for name in WELL
        if stream.done(name) < SHARE_MIN * well.done(name)
        or SHARE_MIN * stream.delay_ms(name) > well.delay_ms(name) + late_ms
    ]


@pytest.fixture(scope="module")
def well() -> Stream:
    """With all five channels in order."""
    return run_stream("")


@pytest.mark.slow
def test_without_a_fault_everything_ends_as_soon_as_the_channel_has_answered(well: Stream) -> None:
    expected = (IS_WELL_AGAIN_MS - FALLS_SICK_MS) // EVERY_MS

    assert [well.done(name) for name in NAMES] == [expected] * len(NAMES)
    assert [well.delay_ms(name) for name in NAMES] == [REPLY_MS] * len(NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_the_other_four_keep_their_pace_and_of_the_fifth_nothing_is_lost_or_done_twice(
    well: Stream, fault: str
) -> None:
    stream = run_stream(fault, PATIENCE_MS[fault])
    everything = [refund for of_one in stream.refunds.values() for refund in of_one]

    assert stream.done(SICK) < well.done(SICK) / 10
    assert slowed(stream, well) == []
    assert len(everything) == len(NAMES) * ENDS_MS // EVERY_MS
    assert {refund.state for refund in everything} == {State.SUCCEEDED}
    assert stream.times == {refund.number: 1 for refund in everything}


@pytest.mark.slow
def test_what_the_other_four_must_ask_again_is_late_by_a_breath_at_most() -> None:
    """While the queue of one channel is due and has no slot, nobody rings for what falls due."""

    def lose_replies(_: House, roads: Roads) -> None:
        roads.loses_replies = True

    well = run_stream("", prepare=lose_replies)
    stream = run_stream("silent", prepare=lose_replies)

    assert min(map(well.delay_ms, WELL)) >= 2 * REPLY_MS
    assert slowed(stream, well, late_ms=BREATH_MS) == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["refuses", "silent", "slow"])
def test_with_one_gate_for_all_the_same_measure_finds_all_four_slowed(
    well: Stream, fault: str
) -> None:
    def share_the_gate(house: House, _: Roads) -> None:
        house.parts.gates = dict.fromkeys(NAMES, Gate(len(NAMES) * SLOTS))

    stream = run_stream(fault, PATIENCE_MS[fault], prepare=share_the_gate)

    assert slowed(stream, well) == WELL
