"""Everything an operator can set, on one page, checked once at the start.

A TOML file named by `CONTRAFLOW_SETTINGS` or `--settings`; without one, the defaults below: the
embedded database with the sandbox.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct

from contraflow.domain.policy import LateCapture
from contraflow.errors import SettingInvalid


class ChannelSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    plugin: str  # A file of channels/, or a dotted path.
    credentials: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"ChannelSettings({self.plugin}, ***)"


def sandbox() -> dict[str, ChannelSettings]:
    return {
        "sandbox": ChannelSettings(plugin="sandbox"),
        "sandbox_rail": ChannelSettings(plugin="sandbox", credentials={"line": "rail"}),
    }


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    database: str = "contraflow.db"
    tenant: str = "main"  # Of the command line.
    channels: dict[str, ChannelSettings] = msgspec.field(default_factory=sandbox)
    risk_rules: tuple[str, ...] = ()
    sinks: tuple[str, ...] = ("memory",)
    undo_window_s: int = 0  # How long a refund waits so that it can be taken back.
    review_within_s: int = 3 * 24 * 3_600
    attempts_max: int = 8
    late_capture: LateCapture = LateCapture.ATTENTION


def read_settings(path: Path | None) -> Settings:
    """Raises SettingInvalid, naming the field."""
    if path is None:
        return Settings()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        settings = msgspec.convert(table, Settings)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingInvalid(f"settings: {error}") from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingInvalid(f"settings: {error}") from error
    for name in ("undo_window_s", "review_within_s"):
        if not 0 <= getattr(settings, name) <= 366 * 24 * 3_600:
            raise SettingInvalid(f"{name}: from 0 to a year, in seconds")
    if not 1 <= settings.attempts_max <= 100:
        raise SettingInvalid("attempts_max: from 1 to 100")
    return settings
