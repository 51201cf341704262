"""Everything an operator can set is checked once, at the start, and named if it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from contraflow.domain.policy import LateCapture
from contraflow.errors import SettingInvalid
from contraflow.settings import (
    ChannelSettings,
    Settings,
    SinkSettings,
    read_settings,
    without_password,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.toml"


def read(file: Path, text: str) -> Settings:
    file.write_text(text, encoding="utf-8")
    return read_settings(file)


def test_without_a_file_it_is_the_embedded_database_with_the_sandbox() -> None:
    settings = read_settings(None)

    assert settings == Settings()
    assert settings.database == "contraflow.db"
    assert set(settings.channels) == {"sandbox", "sandbox_rail"}
    assert settings.late_capture is LateCapture.ATTENTION


def test_an_empty_file_says_the_same(file: Path) -> None:
    assert read(file, "") == Settings()


def test_every_setting_can_be_set(file: Path) -> None:
    settings = read(
        file,
        """
        database = "/var/lib/contraflow.db"
        tenant = "acme"
        risk_rules = ["many_partials"]
        database_owner = "postgresql://owner@db/contraflow"
        account_slot = 1023
        door = "0.0.0.0:8000"
        bank = "http://bank.test:9090"
        reply_within_ms = 5000
        undo_window_s = 1800
        review_within_s = 60
        attempts_max = 3
        late_capture = "refund"
        [channels.bank]
        plugin = "acme.channels.bank"
        credentials = { key = "00ff", line = "rail" }
        [sinks.out]
        plugin = "file"
        options = { path = "/var/log/events" }
        """,
    )

    assert settings == Settings(
        database="/var/lib/contraflow.db",
        tenant="acme",
        risk_rules=("many_partials",),
        database_owner="postgresql://owner@db/contraflow",
        account_slot=1_023,
        door="0.0.0.0:8000",
        bank="http://bank.test:9090",
        reply_within_ms=5_000,
        sinks={"out": SinkSettings(plugin="file", options={"path": "/var/log/events"})},
        undo_window_s=1_800,
        review_within_s=60,
        attempts_max=3,
        late_capture=LateCapture.REFUND,
        channels={
            "bank": ChannelSettings(
                plugin="acme.channels.bank", credentials={"key": "00ff", "line": "rail"}
            )
        },
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("undo_window_s = -1", "undo_window_s"),
        ("undo_window_s = 31622401", "undo_window_s"),
        ("undo_window_s = 1.5", "undo_window_s"),
        ("undo_window_s = true", "undo_window_s"),
        ('undo_window_s = "60"', "undo_window_s"),
        ("review_within_s = -1", "review_within_s"),
        ("review_within_s = 31622401", "review_within_s"),
        ("attempts_max = 0", "attempts_max"),
        ("attempts_max = 101", "attempts_max"),
        ('late_capture = "perhaps"', "late_capture"),
        ('sinks = "memory"', "sinks"),
        ('sinks = ["memory"]', "sinks"),
        ("[sinks.out]", "plugin"),
        ('[sinks.out]\nplugin = "file"\npath = "x"', "path"),
        ("account_slot = -1", "account_slot"),
        ("account_slot = 1024", "account_slot"),
        ("reply_within_ms = 999", "reply_within_ms"),
        ("reply_within_ms = 60001", "reply_within_ms"),
        ('tenant = "Main"', "tenant"),
        ('tenant = ""', "tenant"),
        ('tenant = "a/b"', "tenant"),
        ('bank = "127.0.0.1:9090"', "bank"),
        ('bank = "http://127.0.0.1:9090/sandbox"', "bank"),
        ('door = "8080"', "door"),
        ('door = "http://127.0.0.1:8080"', "door"),
        ("risk_rules = [1]", "risk_rules"),
        ("database = 1", "database"),
        ('database = "postgresql://["', "^database: "),
        ('database = "postgresql://db:port/x"', "^database: "),
        ('database = "mysql://db/x"', "^database: "),
        ('database_owner = "postgresql://db/x?colour=red"', "^database_owner: "),
        ('database_owner = "contraflow.db"', "^database_owner: "),
        ("undo_windows_s = 1", "undo_windows_s"),
        ("[channels.bank]", "plugin"),
        ('[channels.bank]\nplugin = "x"\nkey = "y"', "key"),
        ('[channels.bank]\nplugin = "x"\ncredentials = { key = 1 }', "credentials"),
    ],
)
def test_a_bad_setting_is_named(file: Path, text: str, name: str) -> None:
    with pytest.raises(SettingInvalid, match=name):
        read(file, text)


@pytest.mark.parametrize(
    "text",
    [
        *("undo_window_s = 0", "undo_window_s = 31622400", "attempts_max = 1"),
        *("attempts_max = 100", "reply_within_ms = 1000", "reply_within_ms = 60000"),
    ],
)
def test_a_setting_at_its_limit_is_good(file: Path, text: str) -> None:
    name, _, value = text.partition(" = ")

    assert getattr(read(file, text), name) == int(value)


def test_what_is_no_toml_says_where(file: Path) -> None:
    with pytest.raises(SettingInvalid, match="line 2"):
        read(file, "tenant = 'acme'\nsinks = memory\n")


def test_a_file_that_is_not_there_is_named(file: Path) -> None:
    with pytest.raises(SettingInvalid, match=r"settings\.toml"):
        read_settings(file)


def test_a_file_that_is_no_text_is_refused(file: Path) -> None:
    file.write_bytes(b"tenant = '\xff'")
    with pytest.raises(SettingInvalid):
        read_settings(file)


# The environment


def test_the_environment_goes_before_the_file(file: Path) -> None:
    file.write_text('database = "of_the_file"\nattempts_max = 3\nbank = "http://file:1"')
    environment = {
        "CONTRAFLOW_DATABASE": "postgresql://writer@db/contraflow",
        "CONTRAFLOW_DATABASE_OWNER": "postgresql://owner@db/contraflow",
        "CONTRAFLOW_BANK": "http://bank.test:9090",
        "CONTRAFLOW_DOOR": "127.0.0.1:8000",
        "CONTRAFLOW_ACCOUNT_SLOT": "7",
        "CONTRAFLOW_LATE_CAPTURE": "refund",
        "CONTRAFLOW_SETTINGS": str(file),
        "CONTRAFLOW_CHANNELS": "no table fits into one word",
        "DATABASE": "not ours",
    }

    assert read_settings(file, environment) == Settings(
        database="postgresql://writer@db/contraflow",
        database_owner="postgresql://owner@db/contraflow",
        bank="http://bank.test:9090",
        door="127.0.0.1:8000",
        account_slot=7,
        attempts_max=3,
        late_capture=LateCapture.REFUND,
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CONTRAFLOW_ACCOUNT_SLOT", "one"),
        ("CONTRAFLOW_ACCOUNT_SLOT", ""),
        ("CONTRAFLOW_LATE_CAPTURE", "perhaps"),
        ("CONTRAFLOW_TENANT", "A"),
        ("CONTRAFLOW_REPLY_WITHIN_MS", "5"),
        ("CONTRAFLOW_DATABASE", "postgresql://db/\udcff"),
        ("CONTRAFLOW_DATABASE_OWNER", "postgresql://db:99999/x"),
    ],
)
def test_a_bad_word_of_the_environment_is_named(name: str, text: str) -> None:
    setting = name.removeprefix("CONTRAFLOW_")
    with pytest.raises(SettingInvalid, match=f"(?i){setting}"):
        read_settings(None, {name: text})


# Secrets

SECRET = "c0ffee" * 8


def test_a_secret_does_not_print(file: Path) -> None:
    settings = read(
        file, f'[channels.bank]\nplugin = "sandbox"\ncredentials = {{ key = "{SECRET}" }}'
    )

    assert settings.channels["bank"].credentials == {"key": SECRET}
    for shown in (repr(settings), str(settings), f"{settings.channels}"):
        assert SECRET not in shown
        assert "***" in shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (
            "postgresql://writer:{0}@db:5432/contraflow",
            "postgresql://writer:***@db:5432/contraflow",
        ),
        ("postgresql://writer:{0}:/@{0}@db/x", "postgresql://writer:***@db/x"),
        ("postgresql:///x?user=writer&password={0}&port=1", "user=writer&password=***&port=1"),
        ("postgresql:///x?sslpassword={0}", "sslpassword=***"),
        ("postgresql://db:5432/x", "postgresql://db:5432/x"),
        ("contraflow.db", "contraflow.db"),
    ],
)
def test_the_password_of_a_database_does_not_print(address: str, shown: str) -> None:
    address = address.format(SECRET)
    settings = Settings(database=address, database_owner=address)
    for text in (repr(settings), str(settings), without_password(address)):
        assert SECRET not in text
        assert shown in text


def test_the_options_of_a_sink_do_not_print(file: Path) -> None:
    settings = read(file, f'[sinks.out]\nplugin = "x"\noptions = {{ token = "{SECRET}" }}')

    assert settings.sinks["out"].options == {"token": SECRET}
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    "text",
    [
        '[channels.bank]\nplugin = 1\ncredentials = {{ key = "{0}" }}',
        '[channels.bank]\nplugin = "x"\ncredentials = "{0}"',
        '[channels.bank]\nplugin = "x"\ncredentials = ["{0}"]',
        '[channels.bank]\nplugin = "x"\ncredentials = {{ key = "{0}" ',
        'database = "postgresql://writer:{0}/@db/x"',
        'database_owner = "postgresql://owner:{0}@db/x?sslmode={0}"',
        'attempts_max = 0\n[channels.bank]\nplugin = "x"\ncredentials = {{ key = "{0}" }}',
    ],
)
def test_a_complaint_does_not_give_a_secret_away(file: Path, text: str) -> None:
    with pytest.raises(SettingInvalid) as raised:
        read(file, text.format(SECRET))

    assert SECRET not in str(raised.value)
