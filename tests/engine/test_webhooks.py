"""Webhooks: what is told to whom, once at least, and what becomes of a receiver that is dead."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from house import House
from standardwebhooks import Webhook

from contraflow.domain.owner import Owner
from contraflow.domain.webhook import DeliveryStatus, EndpointStatus
from contraflow.engine import webhook_endpoints as ends
from contraflow.engine.bell import Bell
from contraflow.engine.limits import DAY_MS, ENDPOINT_POSTS_MAX, ENDPOINTS_FRESH_MS
from contraflow.engine.webhook_delivery import JITTER, SCHEDULE_MS, deliver_due, webhook_loop
from contraflow.engine.webhook_endpoints import EndpointRefused, EndpointWish, Made
from contraflow.engine.webhooks import Mailroom, fan_out_due
from contraflow.errors import PeerSilent
from contraflow.store.sqlite_shelf import open_shelf
from contraflow.store.webhooks import StoredWebhooks
from contraflow.wire.webhook_signature import SECRETS_MAX

OWNER = Owner(tenant="main", channels=frozenset({"sandbox", "sandbox_rail"}))
URL = "https://shop.example/hook"
BYTES = itertools.count(1)


@dataclass(slots=True)
class Receivers:
    """Who answers what, by URL; and what came."""

    answers: dict[str, int] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    got: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        self.got.append((url, headers, body))
        if url in self.silent:
            raise PeerSilent("nobody is there")
        return self.answers.get(url, 200)

    def types(self, url: str = URL) -> list[str]:
        return [msgspec.json.decode(body)["type"] for to, _, body in self.got if to == url]


@dataclass(slots=True)
class Post:
    house: House
    room: Mailroom
    out: Receivers

    def register(self, url: str = URL, **more: Any) -> Made:
        told: dict[str, Any] = {
            "url": url,
            "description": "",
            "types": (),
            "metadata": {},
            "scheme": "v1",
        }
        wish = EndpointWish(**told | more)
        made: Made = self.house.wait_for(ends.create(self.room, OWNER, "test", wish))
        return made

    def status(self, made: Made) -> EndpointStatus:
        found = self.house.wait_for(
            ends.find(self.room, OWNER, "test", made.endpoint.endpoint_id.partition("/")[2])
        )
        return EndpointStatus(found.status)

    def deliveries(self, made: Made) -> list[Any]:
        asking = self.room.webhooks.deliveries(made.endpoint.endpoint_id, None, "", 1_000)
        found: list[Any] = self.house.wait_for(asking)
        return found

    def step(self) -> None:
        """The feed, and what is due now."""
        self.house.run_for(ENDPOINTS_FRESH_MS)
        while self.house.wait_for(fan_out_due(self.house.store, self.room)):
            pass
        self.house.wait_for(deliver_due(self.house.parts, self.room))
        self.house.run_for(1)


@pytest.fixture
def post(house: House) -> Iterator[Post]:
    shelf = open_shelf(house.place, house.runtime.now)
    out = Receivers()
    room = Mailroom(
        webhooks=StoredWebhooks(shelf),
        views=house.views,
        modes={"sandbox": "test", "sandbox_rail": "test"},
        seal=lambda _, secret: b"sealed:" + secret,
        unseal=lambda _, sealed: sealed.removeprefix(b"sealed:"),
        fresh_bytes=lambda count: next(BYTES).to_bytes(count, "little"),
        judge=lambda url: "" if url.startswith("https://") else "https is needed",
        post=out.post,
        bell=Bell(house.runtime),
    )
    yield Post(house, room, out)
    shelf.connection.close()


def test_every_event_is_told_once_and_signed(post: Post) -> None:
    made = post.register()
    post.house.paid()
    refund = post.house.refund()
    post.house.run_for(1_000)
    post.step()
    while any(each.status == "pending" for each in post.deliveries(made)):
        post.step()

    assert made.secret is not None
    for _, headers, body in post.out.got:
        Webhook(made.secret)._Webhook__verify_timestamp = lambda _: None  # type: ignore[attr-defined]
        signed = Webhook(made.secret).sign(
            headers["webhook-id"], _moment(headers["webhook-timestamp"]), body.decode()
        )
        assert signed == headers["webhook-signature"]
    ids = [headers["webhook-id"] for _, headers, _ in post.out.got]
    assert len(set(ids)) == len(ids) == len(post.deliveries(made))
    assert "refund.succeeded" in post.out.types()
    own = [msgspec.json.decode(body) for _, _, body in post.out.got]
    about = sorted(e["sequence"] for e in own if f"main/{e['about']}" == refund)
    assert about == list(range(1, len(about) + 1))


def _moment(seconds: str) -> Any:
    from datetime import UTC, datetime  # noqa: PLC0415 for this line only

    return datetime.fromtimestamp(int(seconds), UTC)


def test_a_crash_before_the_feed_moves_on_tells_nothing_twice(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = post.register()
    post.house.paid()
    post.house.run_for(ENDPOINTS_FRESH_MS)

    async def die(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(type(post.house.store), "advance", die)
    with pytest.raises(ZeroDivisionError):
        post.house.wait_for(fan_out_due(post.house.store, post.room))
    before = [each.delivery_id for each in post.deliveries(made)]
    monkeypatch.undo()
    post.step()

    assert before
    assert [each.delivery_id for each in post.deliveries(made)] == before


def test_what_happened_before_there_was_an_endpoint_is_not_told(post: Post) -> None:
    post.house.paid()
    post.step()
    post.register()
    post.step()

    assert post.out.got == []


def test_an_endpoint_is_told_what_it_wants(post: Post) -> None:
    post.register(types=("refund.succeeded",))
    post.house.paid()
    post.house.refund()
    post.house.run_for(1_000)
    for _ in range(5):
        post.step()

    assert post.out.types() == ["refund.succeeded"]


def test_a_dead_receiver_fills_only_its_own_places(post: Post) -> None:
    dead, living = post.register("https://dead.example/"), post.register()
    post.out.silent.add("https://dead.example/")
    for number in range(40):
        post.house.paid(f"main/p{number}")
    for _ in range(40):
        post.step()

    assert all(each.status == "delivered" for each in post.deliveries(living))
    assert all(each.status == "pending" for each in post.deliveries(dead))
    assert len(post.out.types("https://dead.example/")) <= 40 * ENDPOINT_POSTS_MAX


def test_what_is_not_taken_is_tried_again_by_the_schedule(post: Post) -> None:
    made = post.register(types=("payment.captured",))
    post.out.answers[URL] = 500
    post.house.paid()
    waits: list[int] = []
    for _ in range(len(SCHEDULE_MS) + 2):
        post.step()
        [delivery] = post.deliveries(made)
        if delivery.due_at is None:
            break
        now = post.house.runtime.now()
        waits.append(delivery.due_at - now)
        post.house.run_for(max(0, delivery.due_at - now))

    assert delivery.status == DeliveryStatus.FAILED
    assert delivery.attempts == len(SCHEDULE_MS) + 1
    assert delivery.failure == "answered 500"
    for wait, usual in zip(waits, SCHEDULE_MS, strict=True):
        assert usual * (1 - JITTER) - 1_000 <= wait <= usual * (1 + JITTER)


def test_410_ends_it(post: Post) -> None:
    made = post.register()
    post.out.answers[URL] = 410
    post.house.paid()
    post.house.paid("main/p2")
    post.step()

    assert post.status(made) is EndpointStatus.DISABLED
    assert not any(each.due_at for each in post.deliveries(made))
    told = len(post.out.got)
    post.house.paid("main/p3")
    post.step()
    assert len(post.out.got) == told


def test_an_endpoint_that_takes_nothing_for_days_is_disabled(post: Post) -> None:
    made = post.register()
    post.out.silent.add(URL)
    for day in range(7):
        post.house.paid(f"main/p{day}")
        post.step()
        post.house.run_for(DAY_MS)
    post.step()

    assert post.status(made) is EndpointStatus.DISABLED


def test_both_secrets_sign_while_one_follows_the_other(post: Post) -> None:
    made = post.register(types=("payment.captured",))
    fresh = post.house.wait_for(ends.rotate(post.room, made.endpoint, 60_000))
    post.house.paid()
    post.step()
    post.house.run_for(60_000)
    post.house.paid("main/p2")
    post.step()
    first, second = (headers["webhook-signature"].split() for _, headers, _ in post.out.got)

    assert len(first) == 2
    assert len(second) == 1
    assert fresh.secret != made.secret


def test_it_may_be_rotated_more_often_than_secrets_fit(post: Post) -> None:
    """Found by the fuzzer: the process ended by an assertion when the next event was signed."""
    made = post.register(types=("payment.captured",))
    endpoint = made.endpoint
    for _ in range(SECRETS_MAX + 3):
        endpoint = post.house.wait_for(ends.rotate(post.room, endpoint, DAY_MS)).endpoint
    post.house.paid()
    post.step()

    assert post.out.types() == ["payment.captured"]


def test_one_is_told_again_when_that_is_asked_for(post: Post) -> None:
    made = post.register(types=("payment.captured",))
    post.house.paid()
    post.step()
    [delivery] = post.deliveries(made)
    again = post.house.wait_for(ends.redeliver(post.room, made.endpoint, delivery.event_id))
    assert again.status == DeliveryStatus.PENDING
    post.step()
    first, second = post.out.got

    assert first[1]["webhook-id"] == second[1]["webhook-id"]
    assert first[2] == second[2]
    assert post.house.wait_for(ends.redeliver(post.room, made.endpoint, "evt_none")) is None


def test_a_stretch_of_time_is_told_again(post: Post) -> None:
    made = post.register(types=("payment.captured",))
    for number in range(3):
        post.house.paid(f"main/p{number}")
        post.house.run_for(10_000)
    for _ in range(3):
        post.step()
    begun = post.house.runtime.now() - 25_000
    told = len(post.out.got)
    after = post.house.wait_for(ends.position_before(post.room, begun))
    done = post.house.wait_for(
        ends.replay(post.room, made.endpoint, after, post.house.runtime.now())
    )
    for _ in range(3):
        post.step()

    assert (told, done.queued, done.has_more) == (3, 2, False)
    assert len(post.out.got) == 5


def test_the_url_is_judged_and_there_are_not_too_many(post: Post) -> None:
    with pytest.raises(EndpointRefused, match="https is needed"):
        post.register("http://10.0.0.1/")


@pytest.mark.parametrize(
    "owner",
    [
        Owner(tenant="other", channels=OWNER.channels),
        Owner(tenant="main", merchant="berlin", channels=OWNER.channels),
    ],
)
def test_the_endpoint_of_another_is_not_there(post: Post, owner: Owner) -> None:
    made = post.register()
    name = made.endpoint.endpoint_id.partition("/")[2]

    assert post.house.wait_for(ends.find(post.room, owner, "test", name)) is None
    assert post.house.wait_for(ends.find(post.room, OWNER, "live", name)) is None


def test_the_loop_does_all_of_it(post: Post, build: Callable[..., House]) -> None:
    del build
    post.house.spawn(webhook_loop(post.house.parts, post.room))
    post.register(types=("payment.captured",))
    post.house.paid()
    post.house.run_for(5_000)

    assert post.out.types() == ["payment.captured"]
