"""All processes of one campaign, in one folder: the database, the engine, the bank, the clients."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from crucible.postgres import Postgres
from crucible.procs import Proc, free_ports

REPLY_WITHIN_MS = 1_500
LEAVE_WITHIN_MS = 1_000
DEAD_AFTER_MS = 2_500  # Beyond the 600 ms that a request may land late, for a busy machine.
SLOTS = 64  # So that nothing that is due waits for long.
INQUIRE_AFTER_MS = ",".join(map(str, (200, 500, 1_000, 2_000, *range(4_000, 600_000, 4_000))))
LEASE_S = 12.5  # Of a mark: its time to leave, for a reply, and a margin. A pause is longer.
MIGRATE_WITHIN_S = 60
PROGRAM = "from contraflow.cli.main import main; main()"  # Of whichever source comes first.
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign does, and to whom."""

    seed: int = 1
    kills: int = 0
    pauses: int = 0
    ops: int = 0  # Answers to all clients together; 0: until all kills and pauses are done.
    seconds: float = 0.0  # If there is nothing else that ends it.
    serves: int = 3
    works: int = 2
    clients: int = 3
    workers: int = 6  # Of each client.
    kill_every_s: float = 1.2  # On average.
    database_share: float = 0.07  # Of the kills.
    pause_s: tuple[float, float] = (LEASE_S + 0.5, LEASE_S + 4.0)
    pauses_at_once: int = 2
    spares_serves: bool = False  # Only workers are killed and paused.
    rail_factor: float = 1.0  # Of the usual share of payments by rail.
    rest_within_s: float = 120.0
    cut_per_s: float = 0.0  # Of each connection to the database.
    cut_commit: float = 0.0  # Of the COMMITs.
    cut_commit_late: float = 0.5  # Of those.
    answer_late_s: float = 0.0  # So long the answer to a COMMIT is on the way.
    database_settings: str = ""
    source: Path = ROOT / "src"  # The engine, or a copy with a bug in it.


@dataclass(slots=True)
class Fleet:
    folder: Path
    plan: Plan
    database: Postgres = field(init=False)
    proxy: Proc = field(init=False)
    bank: Proc = field(init=False)
    serves: list[Proc] = field(init=False)
    works: list[Proc] = field(init=False)
    clients: list[Proc] = field(init=False)
    doors: list[int] = field(init=False)
    bank_port: int = field(init=False)
    key: str = field(default_factory=lambda: secrets.token_hex(32))

    def __post_init__(self) -> None:
        plan = self.plan
        database, proxy, self.bank_port, *self.doors = free_ports(3 + plan.serves)
        self.database = Postgres(self.folder / "postgres", database, plan.database_settings)
        self.proxy = self._ours(
            "proxy",
            *("--port", proxy, "--server", database, "--seed", plan.seed),
            *("--cut-per-s", plan.cut_per_s, "--commit", plan.cut_commit),
            *("--commit-late", plan.cut_commit_late, "--answer-late-s", plan.answer_late_s),
        )
        self.bank = self._ours(
            "bank",
            *("--book", self.book, "--key", self.key, "--port", self.bank_port),
            *("--seed", plan.seed, "--doors", *(f"http://127.0.0.1:{door}" for door in self.doors)),
        )
        self.clients = [
            self._ours(
                "client",
                *("--log", self.folder / f"client-{index}.log", "--ports", *self.doors),
                *("--keys", self.api_keys),
                *("--index", index, "--clients", plan.clients, "--workers", plan.workers),
                *("--wishes", -(-plan.ops // plan.clients) or 10**9, "--seed", plan.seed),
                *("--rail-factor", plan.rail_factor),
                name=f"client-{index}",
            )
            for index in range(plan.clients)
        ]
        is_cut = plan.cut_per_s or plan.cut_commit or plan.answer_late_s
        self._write_settings(self.database.address(proxy if is_cut else database))
        self.serves = [self._engine("serve", slot, port) for slot, port in enumerate(self.doors)]
        self.works = [self._engine("work", plan.serves + n) for n in range(plan.works)]

    @property
    def engine(self) -> list[Proc]:
        return [*self.serves, *self.works]

    @property
    def everybody(self) -> list[Proc]:
        return [*self.clients, *self.engine, self.bank, self.proxy]

    @property
    def book(self) -> Path:
        return self.folder / "bank.book"

    @property
    def api_keys(self) -> Path:
        return self.folder / "keys.json"

    @property
    def feed(self) -> Path:
        return self.folder / "feed.ndjson"

    @property
    def source(self) -> Path:
        return self.folder / "src"

    @property
    def settings(self) -> Path:
        return self.folder / "settings.toml"

    @property
    def logs(self) -> list[Path]:
        return sorted(self.folder.glob("client-*.log"))

    def start(self) -> None:
        """Everything but the clients. Of the engine a copy, for it may be worked on meanwhile."""
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(self.plan.source, self.source, ignore=ignored)
        self.database.create()
        self.database.start()
        self.database.wait()
        self.proxy.start()
        self.bank.start()
        self.ask("migrate", within_s=MIGRATE_WITHIN_S)
        self._make_keys()
        for proc in self.engine:
            proc.start()

    def _make_keys(self) -> None:
        plain = json.loads(self.ask("keys", "create", "--json", within_s=MIGRATE_WITHIN_S))
        how = ("--sign", "hmac-sha256", "--json")
        signed = json.loads(self.ask("keys", "create", *how, within_s=MIGRATE_WITHIN_S))
        told = {
            "plain": plain["key"],
            "signed": signed["key"],
            "signed_id": signed["id"],
            "secret": signed["signing_secret"],
        }
        self.api_keys.write_text(json.dumps(told))

    def end(self) -> None:
        """At once, whatever state it is in."""
        for proc in self.everybody:
            proc.kill()
        self.database.end()

    def ask(self, *words: str, within_s: float) -> str:
        """What one of contraflow's programs prints, asked directly, not through the proxy."""
        done = subprocess.run(
            self._command(*words, "--settings", str(self.settings)),
            env={**self._environment(), "CONTRAFLOW_DATABASE": self.database.address()},
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"contraflow {words}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def _ours(self, module: str, *arguments: object, name: str = "") -> Proc:
        command = [sys.executable, "-m", f"crucible.{module}", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return Proc(name or module, command, environment, self.folder / f"{name or module}.out")

    def _engine(self, program: str, slot: int, port: int = 0) -> Proc:
        environment = {**self._environment(), "CONTRAFLOW_ACCOUNT_SLOT": str(slot)}
        if port:
            environment["CONTRAFLOW_DOOR"] = f"127.0.0.1:{port}"
        name = f"{program}-{slot}"
        command = self._command(program, "--settings", str(self.settings))
        return Proc(name, command, environment, self.folder / f"{name}.out")

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-c", PROGRAM, *words]

    def _environment(self) -> dict[str, str]:
        """The source goes before the package that is installed."""
        ours = {key: value for key, value in os.environ.items() if "CONTRAFLOW" not in key}
        secret = self.folder / "secret"
        if not secret.exists():
            secret.write_text(secrets.token_hex(32))
        return {
            **ours,
            "PYTHONPATH": str(self.source),
            "CONTRAFLOW_SECRET_FILE": str(secret),
        }

    def _write_settings(self, database: str) -> None:
        credentials = (
            f'credentials = {{ key = "{self.key}", leave_within_ms = "{LEAVE_WITHIN_MS}",'
            f' slots = "{SLOTS}", dead_after_ms = "{DEAD_AFTER_MS}",'
            f' inquire_after_ms = "{INQUIRE_AFTER_MS}",'
        )
        self.settings.write_text(
            f'database = "{database}"\n'
            f'bank = "http://127.0.0.1:{self.bank_port}"\n'
            f"reply_within_ms = {REPLY_WITHIN_MS}\n"
            "attempts_max = 30\n"
            f'[channels.card]\nplugin = "sandbox"\n{credentials} line = "card" }}\n'
            f'[channels.rail]\nplugin = "sandbox"\n{credentials} line = "rail" }}\n'
            f'[sinks.file]\nplugin = "file"\noptions = {{ path = "{self.feed}" }}\n'
        )
