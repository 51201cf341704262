"""One seed, one history, one verdict."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

from contraflow.domain.lifecycle import State
from contraflow.engine.audit import check_contents
from contraflow.errors import InvariantBroken
from contraflow.simulation.faults import Crash, Fault
from contraflow.simulation.truth import check_at_rest, check_effects
from contraflow.simulation.world import World

CRASHES_MAX = 7
KILL_TURN_MAX = 900
CALM_AFTER_MS = 400_000
TURNS_MAX = 60_000
CANARY = "canary"
LIAR_EVERY = 10  # One history in ten has channels that contradict what they declare.


@dataclass(frozen=True, slots=True)
class History:
    seed: int
    requests: int
    commands: int
    commits: int
    crashes: int
    faults: Counter[str]
    pairs: frozenset[tuple[str, State]]
    trace: bytes  # Equal for equal seeds, in every process.


def run(seed: int) -> History:
    """Raises InvariantBroken, and then the seed is all that is needed to see it again."""
    world = World(seed, is_liar=seed % LIAR_EVERY == LIAR_EVERY - 1)
    try:
        crashes = live(world)
        contents = world.contents()
        check_at_rest(world, contents)
    finally:
        world.close()
    trace = hashlib.sha256(b"".join(body for _, _, _, body in contents.events)).digest()
    return History(
        seed=seed,
        requests=world.clients.asked,
        commands=world.commands,
        commits=world.commits,
        crashes=crashes,
        faults=world.faults.happened,
        pairs=frozenset(world.faults.pairs),
        trace=trace,
    )


def run_canary(seed: int) -> None:
    """An always false check must fail; else no check of this run can be believed."""
    world = World(seed, is_liar=False)
    try:
        live(world)
        check_canary(world)
    except InvariantBroken as broken:
        if broken.invariant == CANARY:
            return
        raise
    finally:
        world.close()
    raise AssertionError("the canary lives: the checks are not run")


def check_canary(world: World) -> None:
    raise InvariantBroken(CANARY, f"as it should be, after {world.commits} commits")


def live(world: World) -> int:
    """Boot, and boot again after every crash, until all is answered and all is at rest."""
    kills = sorted(world.prng.randrange(KILL_TURN_MAX) for _ in range(CRASHES_MAX))
    runtime, crashes = world.runtime, 0
    while True:
        world.boot()
        kill_at = next((turn for turn in kills if turn > runtime.turns), TURNS_MAX)

        def is_over(kill_at: int = kill_at) -> bool:
            world.faults.are_on = runtime.time < CALM_AFTER_MS
            return runtime.turns >= kill_at or (runtime.turns % 8 == 0 and world.is_settled())

        try:
            runtime.run(is_over)
        except Crash:
            pass
        else:
            if runtime.turns >= TURNS_MAX:
                raise InvariantBroken("I24", f"not at rest after {TURNS_MAX} turns")
            if world.is_settled():
                break
            world.faults.note(Fault.CRASH_ANYWHERE, world.states.values())
        crashes += 1
        world.crash()
        check(world)
    check(world)
    return crashes


def check(world: World) -> None:
    contents = world.contents()
    check_contents(contents)
    check_effects(world, contents)
