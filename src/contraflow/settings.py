"""Everything an operator can set, on one page, checked once at the start.

A TOML file named by `CONTRAFLOW_SETTINGS` or `--settings`; without one, the defaults below: the
embedded database with the sandbox. What the environment says goes before what the file says:
`CONTRAFLOW_DATABASE` is `database`, and so with everything that is one word or number.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec
from msgspec import Struct

from contraflow.domain.ids import TENANT
from contraflow.domain.policy import LateCapture
from contraflow.engine.limits import REPLY_WITHIN_MS
from contraflow.errors import SettingInvalid
from contraflow.store.postgres_address import SCHEMES, refuse_bad_address

PASSWORD = re.compile(r"(://[^:/@]*:).*(?=@)|([?&\s](?:ssl)?password=)[^&\s]*")
ADDRESS = re.compile(r"https?://[^/\s@]+")
DOOR = re.compile(r"[^:/\s]+:[0-9]{1,5}")
NOTHING: Mapping[str, str] = MappingProxyType({})
RESERVED = frozenset({"webhooks"})  # Names of sinks.
YEAR_S = 366 * 24 * 3_600


class ChannelSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    plugin: str  # A file of channels/, or a dotted path.
    credentials: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"ChannelSettings({self.plugin}, ***)"


class SinkSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    plugin: str  # A file of sinks/, or a dotted path.
    options: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"SinkSettings({self.plugin}, ***)"


def sandbox() -> dict[str, ChannelSettings]:
    return {
        "sandbox": ChannelSettings(plugin="sandbox"),
        "sandbox_rail": ChannelSettings(plugin="sandbox", credentials={"line": "rail"}),
    }


def memory() -> dict[str, SinkSettings]:
    return {"memory": SinkSettings(plugin="memory")}


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    database: str = "contraflow.db"  # A file, or the address of a PostgreSQL server.
    database_owner: str = ""  # The address for migrations only: the owner of the tables.
    account_slot: int = 0  # Which share of each account this process books on.
    tenant: str = "main"  # Of the doors.
    door: str = "127.0.0.1:8080"  # Where `contraflow serve` listens.
    secret_file: str = ""  # 32 bytes in hexadecimal; beside a file it is made: FILE.secret.
    tls_certificate: str = ""  # A PEM file, and the door speaks TLS.
    tls_key: str = ""
    tls_client_ca: str = ""  # Then only clients whose certificate is theirs are let in.
    webhooks_to_loopback: bool = False  # Also without TLS; for trying things out.
    default_wait_s: int = 0  # How long a request waits for its end where it does not say so.
    requests_per_minute: int = 600_000  # Of one API key, at one process.
    bank: str = ""  # Where the sandbox's bank listens; empty: in this process, beside the file.
    reply_within_ms: int = REPLY_WITHIN_MS  # From the first byte to a channel to its last reply.
    channels: dict[str, ChannelSettings] = msgspec.field(default_factory=sandbox)
    risk_rules: tuple[str, ...] = ()
    sinks: dict[str, SinkSettings] = msgspec.field(default_factory=memory)
    undo_window_s: int = 0  # How long a refund waits so that it can be taken back.
    review_within_s: int = 3 * 24 * 3_600
    attempts_max: int = 8
    late_capture: LateCapture = LateCapture.ATTENTION

    def __repr__(self) -> str:
        fields = ((name, getattr(self, name)) for name in self.__struct_fields__)
        shown = (
            f"{name}={without_password(value) if isinstance(value, str) else value!r}"
            for name, value in fields
        )
        return f"Settings({', '.join(shown)})"


LIMITS: Mapping[str, tuple[int, int, str]] = MappingProxyType(
    {
        "account_slot": (0, 1_023, ""),
        "reply_within_ms": (1_000, 60_000, ", in milliseconds"),
        "undo_window_s": (0, YEAR_S, " (a year), in seconds"),
        "review_within_s": (0, YEAR_S, " (a year), in seconds"),
        "attempts_max": (1, 100, ""),
        "default_wait_s": (0, 30, ", in seconds"),
        "requests_per_minute": (1, 10_000_000, ""),
    }
)


def read_settings(path: Path | None, environment: Mapping[str, str] = NOTHING) -> Settings:
    """Raises SettingInvalid, naming the field."""
    try:
        table = {} if path is None else tomllib.loads(path.read_text(encoding="utf-8"))
        settings = msgspec.convert(table | said_by(environment), Settings)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingInvalid(f"settings: {error}") from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingInvalid(f"settings: {error}") from error
    check(settings)
    return settings


def said_by(environment: Mapping[str, str]) -> dict[str, object]:
    """The settings in the environment."""
    found: dict[str, object] = {}
    for field in msgspec.structs.fields(Settings):
        name = f"CONTRAFLOW_{field.name.upper()}"
        if name in environment and field.type in (str, int, bool, LateCapture):
            try:
                found[field.name] = msgspec.convert(environment[name], field.type, strict=False)
            except msgspec.ValidationError as error:
                raise SettingInvalid(f"{name}: {error}") from error
    return found


def check(settings: Settings) -> None:
    for name, (least, most, unit) in LIMITS.items():
        if not least <= getattr(settings, name) <= most:
            raise SettingInvalid(f"{name}: from {least} to {most}{unit}")
    refuse_bad_address("database", settings.database)
    refuse_bad_address("database_owner", settings.database_owner)
    if settings.database_owner and not settings.database_owner.startswith(SCHEMES):
        raise SettingInvalid("database_owner: the address of a server, or nothing")
    if not TENANT.fullmatch(settings.tenant):
        raise SettingInvalid("tenant: 1 to 32 of a-z, 0-9, - and _, not starting with - or _")
    if settings.bank and not ADDRESS.fullmatch(settings.bank):
        raise SettingInvalid("bank: an address like http://127.0.0.1:9090, without a path")
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        raise SettingInvalid("tls_key: the certificate and its key come together")
    if settings.tls_client_ca and not settings.tls_certificate:
        raise SettingInvalid("tls_client_ca: without tls_certificate there is no TLS")
    if RESERVED & settings.sinks.keys():
        raise SettingInvalid("sinks: webhooks is the name of our own")
    if not DOOR.fullmatch(settings.door):
        raise SettingInvalid("door: host and port, like 127.0.0.1:8080")


def without_password(address: str) -> str:
    """For the eyes of people: the address of a database as it is shown.

    >>> without_password("postgresql://writer:secret@localhost/contraflow")
    'postgresql://writer:***@localhost/contraflow'
    """
    return PASSWORD.sub(lambda found: f"{found[1] or found[2]}***", address)
