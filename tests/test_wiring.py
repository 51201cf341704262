"""The parts come together, or the reason is named and the database is let go."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from contraflow import banking, wiring
from contraflow.channels import Action
from contraflow.channels.sandbox import CARD_ABILITIES, RAIL_ABILITIES
from contraflow.domain.commands import RecordPayment, RequestRefund
from contraflow.domain.decision import Accepted, Told
from contraflow.domain.instruction import Kind
from contraflow.domain.money import Money
from contraflow.domain.policy import LateCapture
from contraflow.engine.intake import submit
from contraflow.engine.session import rest
from contraflow.errors import (
    ChannelUnreachable,
    DatabaseInUse,
    PluginInvalid,
    SettingInvalid,
    StoreUnwritable,
)
from contraflow.outside.http_transport import HttpTransport
from contraflow.outside.virtual_time import VirtualTime, result_of
from contraflow.settings import ChannelSettings, Settings, SinkSettings
from contraflow.store.places import open_store
from contraflow.wire import sandbox
from contraflow.wire.sandbox import CARD, RAIL, Line, Telling

KEY = "5a" * 32
IN_MEMORY = "file:/wiring?vfs=memdb"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database=str(tmp_path / "test.db"))


def embedded(settings: Settings) -> wiring.Embedded:
    runtime = VirtualTime(1_000)
    store = result_of(open_store(settings.database, runtime.now))
    return wiring.embed(settings, runtime, store)


def python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=60, check=False
    )


# What is built


def test_every_channel_has_its_gate_and_its_terms(settings: Settings) -> None:
    house = embedded(replace(settings, undo_window_s=5, late_capture=LateCapture.KEEP))
    parts = house.parts

    assert set(parts.gates) == set(parts.channels) == {"sandbox", "sandbox_rail"}
    assert parts.gates["sandbox"].slots == CARD_ABILITIES.slots
    assert parts.gates["sandbox"] is not parts.gates["sandbox_rail"]
    assert parts.policy.undo_window_ms == 5_000
    assert parts.policy.late_capture is LateCapture.KEEP
    assert parts.policy.terms["sandbox_rail"].dead_after_ms == RAIL_ABILITIES.dead_after_ms
    result_of(house.close())


def test_the_rules_know_what_a_channel_can() -> None:
    card, rail = wiring.terms_of(CARD_ABILITIES), wiring.terms_of(RAIL_ABILITIES)

    assert (card.same_number_again, rail.same_number_again) == (True, False)
    assert card.kinds == frozenset(Kind)
    assert rail.kinds == frozenset(Kind) - {Kind.CLOSE}
    assert all(Action(kind) in RAIL_ABILITIES.actions for kind in rail.kinds)


def test_for_who_only_reads_the_rules_are_the_same(settings: Settings) -> None:
    house = embedded(settings)

    assert wiring.read_policy(settings) == house.parts.policy
    result_of(house.close())


def test_what_is_built_does_not_print_its_keys(settings: Settings) -> None:
    house = embedded(settings)

    assert house.bank.key_text not in repr(house.parts)
    assert house.bank.key_text not in repr(house)
    result_of(house.close())


def test_the_key_of_the_bank_is_kept_beside_the_database_for_its_owner_only(
    settings: Settings,
) -> None:
    first = embedded(settings)
    result_of(first.close())
    second = embedded(settings)
    book = Path(f"{settings.database}.bank")

    assert second.bank.key_text == first.bank.key_text
    assert book.stat().st_mode & 0o777 == 0o600
    result_of(second.close())


# What cannot be built


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"sinks": {"far": SinkSettings(plugin="nowhere")}}, PluginInvalid, "nowhere"),
        ({"risk_rules": ("nowhere",)}, PluginInvalid, "nowhere"),
        ({"channels": {"bank": ChannelSettings(plugin="nowhere")}}, PluginInvalid, "nowhere"),
        ({"channels": {"bank": ChannelSettings(plugin="json")}}, PluginInvalid, "json"),
        (
            {"channels": {"bank": ChannelSettings(plugin="sandbox", credentials={"key": "xyz"})}},
            SettingInvalid,
            "key",
        ),
        (
            {"channels": {"bank": ChannelSettings(plugin="sandbox", credentials={"line": "x"})}},
            SettingInvalid,
            "line",
        ),
    ],
)
def test_a_bad_part_is_named_and_the_database_is_let_go(
    settings: Settings, changes: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        wiring.run(replace(settings, **changes), refund_once)

    result_of(embedded(settings).close())


SERVER = "postgresql://writer:c0ffee@127.0.0.1:1/none"
AT_BANK = {"bank": "http://127.0.0.1:9"}
WITH_KEY = {"sandbox": ChannelSettings(plugin="sandbox", credentials={"key": KEY})}


def beside(settings: Settings, **changes: object) -> wiring.Embedded:
    """On a store in memory, whatever the settings say."""
    runtime = VirtualTime(1_000)
    store = result_of(open_store(IN_MEMORY, runtime.now))
    try:
        return wiring.embed(replace(settings, **changes), runtime, store)
    finally:
        result_of(store.close())


def test_beside_a_servers_database_the_bank_is_a_process_of_its_own(settings: Settings) -> None:
    with pytest.raises(SettingInvalid, match="start one with: contraflow bank"):
        beside(settings, database=SERVER)
    with pytest.raises(SettingInvalid, match="key"):
        beside(settings, database=SERVER, **AT_BANK)
    house = beside(settings, database=SERVER, channels=WITH_KEY, **AT_BANK)

    assert house.local_bank is None
    assert wiring.bank_is_quiet(house)
    assert isinstance(house.parts.transport, HttpTransport)
    assert house.parts.transport.addresses["sandbox-rail"] == "http://127.0.0.1:9/sandbox-rail"
    assert house.parts.transport.slots == {"sandbox": CARD_ABILITIES.slots}


def test_a_file_may_have_its_bank_elsewhere(settings: Settings) -> None:
    house = beside(settings, channels=WITH_KEY, **AT_BANK)

    assert house.local_bank is None
    assert not Path(f"{settings.database}.bank").exists()


def test_a_book_that_another_process_has_open_is_in_use(settings: Settings) -> None:
    opened = banking.open_bank(banking.book_of(settings.database))
    with pytest.raises(DatabaseInUse):
        beside(settings)
    opened.close()
    result_of(embedded(settings).close())


SLOW_PLUGIN = """
from msgspec.structs import replace
from contraflow.channels import sandbox

def open_channel(name, credentials):
    channel = sandbox.open_channel(name, credentials)
    return replace(channel, abilities=replace(channel.abilities, leave_within_ms={}))
"""


@pytest.mark.parametrize(
    ("leave_within_ms", "is_good"), [(0, False), (20_000, True), (20_001, False)]
)
def test_a_plug_in_may_stand_anywhere_and_must_send_within_its_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leave_within_ms: int, *, is_good: bool
) -> None:
    name = f"leaving_within_{leave_within_ms}"
    (tmp_path / "plugged").mkdir(exist_ok=True)
    (tmp_path / "plugged" / f"{name}.py").write_text(SLOW_PLUGIN.format(leave_within_ms))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "plugged", raising=False)
    if is_good:
        channel = wiring.open_channel("bank", f"plugged.{name}", {"key": KEY})
        assert channel.abilities.leave_within_ms == leave_within_ms
        return
    with pytest.raises(PluginInvalid, match="leave_within_ms"):
        wiring.open_channel("bank", f"plugged.{name}", {"key": KEY})


REFUSED = """
import sys
from contraflow.settings import Settings
from contraflow.wiring import run

async def work(embedded):
    print("built")

try:
    run(Settings(database=sys.argv[1]), work)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "said"), [((), "built"), (("-O",), "python -O"), (("-OO",), "python -O")]
)
def test_it_refuses_to_run_without_its_assertions(
    settings: Settings, flags: tuple[str, ...], said: str
) -> None:
    process = python(*flags, "-c", REFUSED, settings.database)

    assert said in process.stdout, process.stderr


@pytest.mark.slow
def test_a_second_process_is_told_that_the_database_is_in_use(settings: Settings) -> None:
    house = embedded(settings)
    during = python("-c", REFUSED, settings.database)
    result_of(house.close())
    after = python("-c", REFUSED, settings.database)

    assert during.stdout.startswith("DatabaseInUse"), during.stderr
    assert "database_in_use" in during.stdout
    assert after.stdout == "built\n"


def test_a_second_engine_in_the_same_process_is_told_so_too(settings: Settings) -> None:
    house = embedded(settings)
    with pytest.raises(DatabaseInUse):
        embedded(settings)
    result_of(house.close())


def test_a_mistyped_name_makes_no_new_database(settings: Settings) -> None:
    with pytest.raises(StoreUnwritable, match="no such database"):
        result_of(wiring.open_reading(settings))

    assert not Path(settings.database).exists()
    for elsewhere in (IN_MEMORY, "postgresql://localhost/nowhere"):
        wiring.refuse_missing(replace(settings, database=elsewhere))


# At work


PAYMENT = RecordPayment(
    key="main/k1",
    fingerprint=bytes(32),
    payment_id="main/pay_1",
    channel="sandbox",
    instrument="tok_ok",
    amount=Money(1_000, "GBP"),
    is_captured=True,
)
REFUND = RequestRefund(
    key="main/k2", fingerprint=bytes(32), payment_id="main/pay_1", amount=Money(400, "GBP")
)


async def refund_once(house: wiring.Embedded) -> str:
    await submit(house.parts.intake, PAYMENT)
    told = await submit(house.parts.intake, REFUND)
    assert isinstance(told, Told)
    assert isinstance(told.decision, Accepted)
    [one] = told.decision.instructions
    return one.instruction_id


def test_a_refund_goes_through_a_real_event_loop(settings: Settings) -> None:
    async def work(house: wiring.Embedded) -> str:
        name = await refund_once(house)
        views = await wiring.open_reading(settings)
        await rest(house.parts, views, [name], 10_000)
        await views.close()
        assert wiring.bank_is_quiet(house)
        return name

    name = wiring.run(settings, work)
    [effect] = wiring.effects_at_bank(settings.database) or []
    views = result_of(wiring.open_reading(settings))
    one = result_of(views.instruction(name))
    result_of(views.close())

    assert one is not None
    assert one.state == "succeeded"
    assert (effect.number, effect.minor, effect.times) == (one.number, 400, 1)
    assert result_of(wiring.latest_of(settings, at_least=1 << 50)) == 1 << 50
    assert result_of(wiring.latest_of(settings, at_least=0)) == 1 << 50


def test_what_the_work_raises_comes_out_and_the_database_is_let_go(settings: Settings) -> None:
    async def work(house: wiring.Embedded) -> None:
        raise ChannelUnreachable(house.parts.channels["sandbox"].name)

    with pytest.raises(ChannelUnreachable, match="sandbox"):
        wiring.run(settings, work)

    result_of(embedded(settings).close())


def test_a_failed_check_of_a_loop_is_what_comes_out(settings: Settings) -> None:
    """And not that the work beside it was cut off."""

    class Broken:
        name = "broken"

        def rejects(self, *_: object) -> bool:
            raise AssertionError("planted")

    async def work(house: wiring.Embedded) -> None:
        house.parts.rules = [Broken()]
        await refund_once(house)

    with pytest.raises(AssertionError, match="planted"):
        wiring.run(settings, work)

    result_of(embedded(settings).close())


def test_a_failed_check_goes_before_any_other_error(settings: Settings) -> None:
    async def fail(error: Exception) -> None:
        raise error

    async def work(house: wiring.Embedded) -> None:
        house.parts.runtime.spawn(fail(ChannelUnreachable()))
        house.parts.runtime.spawn(fail(AssertionError("planted")))
        await house.parts.runtime.ticket()

    with pytest.raises(AssertionError, match="planted"):
        wiring.run(settings, work)


def test_there_is_no_bank_where_there_was_no_engine(settings: Settings) -> None:
    assert wiring.effects_at_bank(settings.database) is None


# Odds and ends


def test_a_notice_goes_to_the_channel_of_its_line_or_nowhere(settings: Settings) -> None:
    def told(settings: Settings) -> list[str]:
        house = embedded(settings)
        line = Line(RAIL, sandbox.key_of(house.bank.key_text))
        telling = Telling(
            event="e1", type="payment.expired", payment="main/x", minor=0, currency="GBP", at=1
        )
        lines, notice = banking.lines_at_bank(settings), sandbox.notice_of(line, telling)
        house.parts.runtime.spawn(wiring.deliver(house.parts, lines, notice))
        house.parts.runtime.run_to(1_000)
        waiting = [each.command.channel for each in house.parts.intake.first]
        house.parts.runtime.drop()
        result_of(house.close())
        return waiting

    only_card = {"sandbox": settings.channels["sandbox"]}
    assert told(settings) == ["sandbox_rail"]
    assert told(replace(settings, channels=only_card)) == []


def test_a_notice_that_cannot_be_written_now_is_not_acknowledged(settings: Settings) -> None:
    house = embedded(settings)
    line = Line(CARD, sandbox.key_of(house.bank.key_text))
    telling = Telling(
        event="e1", type="payment.expired", payment="main/x", minor=0, currency="GBP", at=1
    )
    lines, notice = banking.lines_at_bank(settings), sandbox.notice_of(line, telling)
    heard: list[bool] = []

    async def tell() -> None:
        heard.append(await wiring.deliver(house.parts, lines, notice))

    for answer in (Accepted(), StoreUnwritable()):
        house.parts.runtime.spawn(tell())
        house.parts.runtime.run_to(1_000)
        ticket = house.parts.intake.first.pop().ticket
        if isinstance(answer, StoreUnwritable):
            ticket.set_exception(answer)
        else:
            ticket.set_result(answer)
        house.parts.runtime.run_to(1_000)
    result_of(house.close())

    assert heard == [True, False]


def test_the_scripts_of_the_sandbox_leave_out_what_no_engine_can_undo() -> None:
    scripts = [script for group in wiring.scripts_by_group().values() for script in group]

    assert "ignore_idempotency" not in scripts
    assert set(scripts) | {"ok", "ignore_idempotency"} == wiring.SCRIPTS


def test_a_key_that_nobody_brought_is_fresh() -> None:
    assert len({wiring.fresh_key() for _ in range(100)}) == 100
