"""Fuzz a live server by its own description: positive and negative data, all phases, all checks.

    python scripts/fuzz_api.py [--examples N] [--seed N] [--plant]

It fails on a finding, on an answer 5xx, and if an operation was never answered with a success.
With --plant the server is a copy with a defect in it, and it fails if that is not found.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ASKED = itertools.count()
ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
PROGRAM = "from contraflow.cli.main import main; main()"
READY_WITHIN_S = 20
ANSWERED = re.compile(r'^contraflow_answers_total\{operation="(\w+)",status="(\d+)"\} ([\d.]+)$')
# Rules of money are no schema: 404, 409 and 422 are right answers to data of the right form.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "422", "429"]
"""
# A status that the description does not know.
PLANT = (
    "contraflow/api/asking.py",
    "return Answer(202 if outcome.is_moving else 201, shape, headers)",
    "return Answer(202 if outcome.is_moving else 203, shape, headers)",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--examples", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plant", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="contraflow-fuzz-") as name:
        folder = Path(name)
        source = planted(folder) if asked.plant else SOURCE
        with serving(folder, source) as (address, key):
            furnish(address, key)
            is_clean = fuzz(folder, address, key, asked.examples, asked.seed)
            counts = answers(address, key)
    never = sorted(o for o, statuses in counts.items() if not any(s < 300 for s in statuses))
    broken = {o: n for o, statuses in counts.items() for s, n in statuses.items() if s >= 500}
    told = {
        "findings": not is_clean,
        "requests": sum(sum(statuses.values()) for statuses in counts.values()),
        "operations": len(counts),
        "never_a_success": never,
        "answers_5xx": broken,
    }
    print(json.dumps(told))
    is_good = is_clean and not never and not broken
    sys.exit(0 if is_good != asked.plant else 1)


def planted(folder: Path) -> Path:
    copy = folder / "src"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    name, before, after = PLANT
    path = copy / name
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, "the defect no longer fits the source"
    path.write_text(text.replace(before, after), encoding="utf-8")
    return copy


@contextmanager
def serving(folder: Path, source: Path) -> Iterator[tuple[str, str]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if "CONTRAFLOW" not in name},
        "PYTHONPATH": str(source),
        "CONTRAFLOW_DATABASE": str(folder / "fuzz.db"),
        "CONTRAFLOW_DOOR": f"127.0.0.1:{port}",
        "CONTRAFLOW_WEBHOOKS_TO_LOOPBACK": "true",
    }
    program = (sys.executable, "-c", PROGRAM)
    made = subprocess.run(
        [*program, "keys", "create", "--json"], env=environment, capture_output=True, check=True
    )
    server = subprocess.Popen([*program, "serve"], env=environment, stdout=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        until = time.monotonic() + READY_WITHIN_S
        while not is_ready(address):
            assert time.monotonic() < until, "the server is not ready"
            time.sleep(0.1)
        yield address, json.loads(made.stdout)["key"]
        assert server.poll() is None, "the server has ended by itself"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/readyz") as reply:  # noqa: S310 our own server
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def ask(
    address: str, key: str, path: str, body: Any, content_type: str = "application/json"
) -> Any:
    """Of the examples, so that what the description shows as an id is there."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": content_type,
        "Idempotency-Key": f"furnish-{next(ASKED)}",
        "Prefer": "wait=5",
    }
    request = urllib.request.Request(f"{address}{path}", sent, headers)  # noqa: S310
    with urllib.request.urlopen(request) as reply:  # noqa: S310
        return json.loads(reply.read())


def furnish(address: str, key: str) -> None:
    """One of everything, and a success of each operation that no fuzzer can guess."""
    for name, more in (("coffee", {}), ("tea-1", {"recorded": "captured"})):
        told = {"id": name, "amount": 10**6, "currency": "GBP", "channel": "sandbox", **more}
        ask(address, key, "/v1/payments", told)
    held = {"id": "held", "amount": 1050, "currency": "GBP", "channel": "sandbox"}
    ask(address, key, "/v1/payments", {**held, "recorded": "authorized"})
    ask(address, key, "/v1/payments/held/capture", {"amount": 50, "currency": "GBP"})
    ask(address, key, "/v1/payments", {**held, "id": "open", "recorded": "authorized"})
    ask(address, key, "/v1/payments/open/cancel", {})
    refund = ask(address, key, "/v1/refunds", {"payment": "coffee", "amount": 5, "currency": "GBP"})
    ask(address, key, "/v1/reversals", {"payment": "held"})
    waiting = {"payment": "tea-1", "amount": 7, "currency": "GBP", "for_review": True}
    held_back = ask(address, key, "/v1/refunds", waiting)
    ask(address, key, f"/v1/refunds/{held_back['id']}/cancel", {})
    hook = ask(address, key, "/v1/webhook-endpoints", {"url": "http://127.0.0.1:9/x"})
    base = f"/v1/webhook-endpoints/{hook['id']}"
    test = ask(address, key, f"{base}/test", {})
    ask(address, key, f"{base}/deliveries/{test['id']}/redeliver", {})
    for verb, body in (
        ("rotate", {}),
        ("replay", {"since": "2020-01-01T00:00:00Z"}),
        ("disable", {}),
        ("enable", {}),
    ):
        ask(address, key, f"{base}/{verb}", body)
    lines = "".join(f"tea-1,{n},GBP\n" for n in range(1, 20_000)).encode()
    batch = ask(
        address, key, "/v1/refund-batches", b"payment,amount,currency\n" + lines, "text/csv"
    )
    for verb in ("pause", "resume", "cancel"):
        ask(address, key, f"/v1/refund-batches/{batch['id']}/{verb}", {})
    look(address, key, f"/v1/refunds/{refund['id']}", f"/v1/reversals/{refund['id']}", base)
    look(address, key, f"{base}/deliveries", "/v1/payments/coffee", "/v1/errors/not_found")
    look(address, key, "/v1/payments/coffee/reversal-options")
    one = f"/v1/refund-batches/{batch['id']}"
    look(address, key, one, f"{one}/lines")


def look(address: str, key: str, *paths: str) -> None:
    for path in paths:
        request = urllib.request.Request(  # noqa: S310
            f"{address}{path}", headers={"Authorization": f"Bearer {key}"}
        )
        with urllib.request.urlopen(request) as reply:  # noqa: S310
            reply.read()


def fuzz(folder: Path, address: str, key: str, examples: int, seed: int) -> bool:
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG, encoding="utf-8")
    words = [
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config), "run"),
        *(f"{address}/openapi.json", "--header", f"Authorization: Bearer {key}"),
        *("--phases", "examples,coverage,fuzzing,stateful", "--checks", "all", "--mode", "all"),
        *("--max-examples", str(examples), "--seed", str(seed), "--workers", "2"),
        *("--generation-database", "none", "--exclude-path", "/notices", "--no-color"),
    ]
    hooks = {"SCHEMATHESIS_HOOKS": "fuzz_hooks", "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(words, env={**os.environ, **hooks}, stdout=sys.stderr, check=False)
    return done.returncode == 0


def answers(address: str, key: str) -> dict[str, Counter[int]]:
    """By operation and status, as the server has counted them; notices are for banks alone."""
    request = urllib.request.Request(  # noqa: S310
        f"{address}/metrics", headers={"Authorization": f"Bearer {key}"}
    )
    counts: dict[str, Counter[int]] = {}
    for _ in range(2):  # The second tells of the first.
        with urllib.request.urlopen(request) as reply:  # noqa: S310
            text = reply.read().decode()
    with urllib.request.urlopen(f"{address}/openapi.json") as reply:  # noqa: S310
        described = json.load(reply)
    for methods in described["paths"].values():
        for operation in methods.values():
            if operation["operationId"] != "take_notice":
                counts[operation["operationId"]] = Counter()
    for line in text.splitlines():
        found = ANSWERED.match(line)
        if found and found[1] in counts:
            counts[found[1]][int(found[2])] += int(float(found[3]))
    return counts


if __name__ == "__main__":
    main()
