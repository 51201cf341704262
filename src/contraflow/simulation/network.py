"""A network that loses, delays and repeats anything between the engine and the bank."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from contraflow.engine.notices import receive_notice
from contraflow.engine.parts import Parts
from contraflow.errors import (
    ChannelUnreachable,
    InvariantBroken,
    LeaveByMissed,
    ReplyLost,
    SignatureInvalid,
    StoreUnwritable,
)
from contraflow.outside.bank_scripts import Script
from contraflow.simulation.faults import Fault
from contraflow.simulation.surroundings import Surroundings
from contraflow.simulation.travelling import Travelling
from contraflow.wire.exchange import Notice, Reply, Request, header
from contraflow.wire.sandbox import CARD, LINE, RAIL, Ask, Telling

LATE_MS_MAX = {CARD: 800, RAIL: 250_000}  # Within what each line declares as `dead_after_ms`.
PAUSE_MS_MAX = 200_000
WAY_MS_MAX = 40
SILENCE_MS = {CARD: 1_000, RAIL: 30_000}
NOTICE_LATE_MS_MAX = 120_000
ON_THE_WAY_BACK = 0.6  # How many of those who fall asleep do so over the reply.
STRANGE = 0.5  # How often a proxy answers for a bank that does not.
STRANGERS = (Reply(502, b""), Reply(200, b"<html><body>It works!</body></html>"))
ASK = msgspec.json.Decoder(Ask)
TELLING = msgspec.json.Decoder(Telling)


@dataclass(slots=True)
class HostileTransport:
    """Of one incarnation of the engine; a process that has died must not let a byte leave."""

    world: Surroundings
    parts_of: int

    async def send(self, request: Request, leave_by: int) -> Reply:
        world, prng = self.world, self.world.prng
        ask, scheme = ASK.decode(request.body), request.url.partition(":")[0]
        way, way_back = self.ways(ask)
        await self.connect(ask, leave_by, way)
        world.note_first_byte(ask, request)
        if self.strike(Fault.REQUEST_LOST, 0.04, ask):
            return await self.hear_nobody(scheme)
        is_plain = world.script_of(ask) is Script.OK and ask.action not in ("status", "withdraw")
        if is_plain and self.strike(Fault.LANDS_LATE, 0.08, ask):
            at = world.runtime.now() + prng.randrange(LATE_MS_MAX[scheme])
            world.add_travelling(Travelling(at, request))
            return await self.hear_nobody(scheme)
        await world.runtime.sleep(prng.randrange(WAY_MS_MAX))
        reply, wait_ms = world.ask_bank(request)
        await world.runtime.sleep(wait_ms + way_back)
        self.meet_again(ask, way_back)
        if reply is None or self.strike(Fault.REPLY_LOST, 0.06, ask):
            return await self.hear_nobody(scheme)
        return reply

    def ways(self, ask: Ask) -> tuple[int, int]:
        """There and back, in milliseconds; on one of them a worker may fall asleep."""
        prng = self.world.prng
        ways = [prng.randrange(WAY_MS_MAX), prng.randrange(WAY_MS_MAX)]
        if self.strike(Fault.PAUSED, 0.06, ask):
            ways[prng.random() < ON_THE_WAY_BACK] = prng.randrange(PAUSE_MS_MAX)
        return ways[0], ways[1]

    def meet_again(self, ask: Ask, way: int) -> None:
        """Whoever slept so long finds what others have made of it."""
        if way > WAY_MS_MAX:
            self.world.faults.meet(Fault.PAUSED, self.world.state_of_number(ask.number))

    async def connect(self, ask: Ask, leave_by: int, way: int) -> None:
        """Until the first byte may leave; a process that has died must not come further."""
        world = self.world
        await world.runtime.sleep(way)
        self.meet_again(ask, way)
        is_worse = ask.payment in world.struck  # Troubles come in crowds.
        if self.strike(Fault.UNREACHABLE, 0.12 if is_worse else 0.03, ask):
            raise ChannelUnreachable
        if world.store.now() > leave_by:
            raise LeaveByMissed
        if world.incarnation != self.parts_of:
            raise InvariantBroken("I23", "a dead incarnation lets a byte leave")

    async def hear_nobody(self, scheme: str) -> Reply:
        """Silence, or something on the way answers in the bank's place."""
        if self.world.prng.random() < STRANGE:
            return self.world.prng.choice(STRANGERS)
        await self.world.runtime.sleep(SILENCE_MS[scheme])
        raise ReplyLost

    def strike(self, fault: Fault, chance: float, ask: Ask) -> bool:
        """A fault of the network; it may be what brings this payment before an operator."""
        world = self.world
        if not world.faults.strike(fault, chance, world.state_of_number(ask.number)):
            return False
        world.struck[ask.payment] = None
        return True


async def deliver(world: Surroundings, parts: Parts, notice: Notice) -> None:
    """Until the engine has it; and what is no word of the bank's changes nothing."""
    channel = "sandbox_rail" if header(notice.headers, LINE) == RAIL else "sandbox"
    states = world.states_of_notice(notice)
    if world.faults.strike(Fault.NOTICE_FORGED, 0.05, states):
        before = world.commits
        forged = replace(notice, body=notice.body.replace(b'"minor":', b'"minor":1'))
        try:
            await receive_notice(parts, channel, forged)
        except SignatureInvalid:
            pass
        else:
            raise InvariantBroken("I27", f"a forged notice was taken after {before} commits")
    while True:
        try:
            await receive_notice(parts, channel, notice)
        except StoreUnwritable:
            await world.runtime.sleep(500)
        else:
            return
