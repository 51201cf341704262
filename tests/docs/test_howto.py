"""The how-to pages can be followed: what they show is run, on servers of the test's own."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from docs.test_documents import ROOT, blocks_of, commands_in
from servers import found, guard

from contraflow.outside.child import die_with
from contraflow.outside.postgres_server import PostgresServer, private_folder

PAGE = ROOT / "docs" / "howto" / "run-on-postgresql.md"
STAYING = re.compile(r"contraflow (up|bank|serve|work)\b")
BEGUN = re.compile(r"^(Ctrl-C ends it|door on|working on|key ).*\n", re.MULTILINE)


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


class Reader:
    """Who does what the page says, with other ports, and with a server in the place of `db1`."""

    def __init__(self, folder: Path, server: PostgresServer) -> None:
        self.folder, self.server = folder, server
        # The last is a server that is away.
        self.other = {
            "8080": free_port(),
            "9090": free_port(),
            "db1:5432": f"127.0.0.1:{server.port}",
            "db2:5432": f"127.0.0.1:{free_port()}",
        }
        self.exports: list[str] = []
        self.staying: list[subprocess.Popen[str]] = []
        self.printed: list[str] = []

    def here(self, text: str) -> str:
        return re.sub("|".join(map(re.escape, self.other)), lambda it: self.other[it[0]], text)

    def play(self, text: str) -> None:
        self.printed = []
        for command in commands_in(self.here(text)):
            if command.startswith("export "):
                self.exports.append(command)
            elif STAYING.match(command):
                self.stay(command)
            else:
                self.printed += self.shell(command).communicate(timeout=60)[0].splitlines()

    def stay(self, command: str) -> None:
        """Until it says that it is there."""
        if command == "contraflow up":
            command += f" --door 127.0.0.1:{self.other['8080']}"
        process = self.shell(command)
        self.staying.append(process)
        said = ""
        assert process.stdout is not None
        while not BEGUN.search(said):
            line = process.stdout.readline()
            assert line, said
            said += line
        if key := re.search(r"^key (\w+)$", said, re.MULTILINE):
            self.other["THE-KEY-THAT-WAS-PRINTED"] = key[1]
        if bank := re.search(r"bank on http://127.0.0.1:(\d+)$", said, re.MULTILINE):
            self.other["9090"] = bank[1]
        self.printed += said.splitlines()

    def shell(self, command: str) -> subprocess.Popen[str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            ["bash", "-c", "\n".join([*self.exports, f"exec {command}"])],
            cwd=self.folder,
            env={"PATH": path, "LANG": "C.UTF-8", "PYTHONUTF8": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=die_with(os.getpid()),  # noqa: PLW1509 no second thread forks
        )

    def expect(self, text: str) -> None:
        """Every shown line, in its order."""
        rest = iter([line.rstrip() for line in self.printed])
        for line in self.here(text).splitlines():
            shown = re.escape(line).replace(re.escape("18.6"), r"\d+\.\d+")
            is_there = line == "..." or any(re.fullmatch(shown, each) for each in rest)
            assert is_there, f"never printed: {line}\n" + "\n".join(self.printed)

    def write(self, text: str) -> None:
        """The settings; of a lonely line it is enough that it leads to the same server."""
        if text.count("\n") > 1:
            (self.folder / "shop.toml").write_text(self.here(text))
            return
        address = re.fullmatch(r'database = "(.+)"\n', self.here(text))
        assert address
        shown = self.shell(f"env CONTRAFLOW_DATABASE='{address[1]}' contraflow show tea --json")
        assert '"minor":400' in shown.communicate(timeout=60)[0]

    def administer(self, text: str) -> None:
        async def execute() -> None:
            connection = await asyncpg.connect(self.server.superuser_dsn())
            for statement in text.rstrip(";\n").split(";\n"):
                await connection.execute(statement)
            await connection.close()

        self.server.start()
        asyncio.run(execute())

    def end_all(self) -> None:
        for process in self.staying:
            process.terminate()
        for process in self.staying:
            said, _ = process.communicate(timeout=60)
            assert said.endswith("stopped\n"), said
        self.staying = []


@pytest.fixture
def reader() -> Iterator[Reader]:
    folder = private_folder()
    guard(folder / "contraflow.d" / "postgres")
    guard(folder / "db1")
    server = PostgresServer(found()[0], folder / "db1", port=int(free_port()))
    server.create()
    reader = Reader(folder, server)
    yield reader
    for process in reader.staying:
        process.terminate()
        process.communicate()
    server.delete()
    PostgresServer(found()[0], folder / "contraflow.d" / "postgres").delete()
    shutil.rmtree(folder)


@pytest.mark.slow
def test_the_page_about_postgresql_can_be_followed(reader: Reader) -> None:
    played = []
    for sort, text in blocks_of(PAGE):
        played.append(sort)
        match sort:
            case "console":
                reader.play(text)
            case "text":
                reader.expect(text)
            case "toml":
                reader.write(text)
            case "sql":
                reader.end_all()  # The second half has processes of its own.
                reader.administer(text)
            case _:
                pytest.fail(f"nobody plays {sort}")
    reader.end_all()

    assert played.count("console") >= 5
