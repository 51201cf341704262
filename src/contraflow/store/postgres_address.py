"""The address of a PostgreSQL server, checked before anybody goes there.

asyncpg would take some mistakes for something else: a part of a password for a host. So it is
read strictly, and as there may be a password in whatever is wrong, no complaint quotes it.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qsl, unquote, urlsplit

from contraflow.errors import SettingInvalid

SCHEMES = ("postgresql://", "postgres://")
# What was meant as an address, though it is none of ours.
OTHER = re.compile(r"[\w+.-]*://|postgres\w*[:/].*@", re.IGNORECASE)
CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
HALF_A_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
PLACE = re.compile(r"(?:\[([^\[\]]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?")
ODD_IN_HOST = re.compile(r"[\s@/\\?]")
PORT_MAX = 65_535
FREE = re.compile(r".*", re.DOTALL)
TLS_VERSION = re.compile(r"TLSv1(\.[123])?")
PARAMETERS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        **dict.fromkeys(("host", "port", "user", "password", "dbname", "database"), FREE),
        **dict.fromkeys(("passfile", "service", "krbsrvname"), FREE),
        **dict.fromkeys(("sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword"), FREE),
        "sslmode": re.compile(r"disable|allow|prefer|require|verify-ca|verify-full"),
        "sslnegotiation": re.compile(r"postgres|direct"),
        "ssl_min_protocol_version": TLS_VERSION,
        "ssl_max_protocol_version": TLS_VERSION,
        "target_session_attrs": re.compile(
            r"any|primary|standby|read-write|read-only|prefer-standby"
        ),
        "gsslib": re.compile(r"gssapi|sspi"),
    }
)


def refuse_bad_address(field: str, address: str) -> None:
    """Raises SettingInvalid, naming the field. What was never meant as an address passes."""
    if not address.startswith(SCHEMES):
        if OTHER.match(address):
            raise SettingInvalid(f"{field}: the address of a server starts with postgresql://")
        return
    try:
        fault = fault_of(address)
    except ValueError:  # Of urlsplit, parse_qsl, unquote, ip_address or the codec of hosts.
        fault = "not like postgresql://login:password@host:5432/name"
    if fault:
        raise SettingInvalid(f"{field}: {fault}") from None


def fault_of(address: str) -> str | None:
    """What is wrong with it. Raises ValueError where nothing can be said."""
    if CONTROL.search(address) or CONTROL.search(unquote(address, errors="strict")):
        return "a control character"
    if " " in address:
        return "a space is written %20"
    if HALF_A_PERCENT.search(address):
        return "a % that means itself is written %25"
    if "#" in address:
        return "a # is written %23"
    parts = urlsplit(address)
    login, _, places = parts.netloc.rpartition("@")
    if "@" in login or "@" in parts.path:
        return "an @ that means itself is written %40, and a / in front of it %2F"
    named = dict(
        parse_qsl(
            parts.query, keep_blank_values=True, strict_parsing=bool(parts.query), errors="strict"
        )
    )
    if (places and named.keys() & {"host", "port"}) or (
        parts.path and named.keys() & {"dbname", "database"}
    ):
        return "host, port and database stand in front of the ? or behind it, not in both places"
    return fault_of_parameters(named) or fault_of_places(places, named)


def fault_of_parameters(named: Mapping[str, str]) -> str | None:
    for name, value in named.items():
        if name not in PARAMETERS:
            return f"a parameter that is none of {', '.join(PARAMETERS)}"
        if value and not PARAMETERS[name].fullmatch(value):
            return f"{name}: not one of its values"
    return None


def fault_of_places(places: str, named: Mapping[str, str]) -> str | None:
    """Those between @ and /, or in `host` and `port`."""
    hosts = (places or named.get("host", "")).split(",")
    ports = named["port"].split(",") if named.get("port") else []
    if ports and len(ports) not in (1, len(hosts)):
        return "one port is needed, or as many as there are hosts"
    for host in hosts if hosts != [""] else ():
        if host.startswith("/") and not places:
            continue  # The folder of a socket.
        place = PLACE.fullmatch(host)
        if place is None:
            return "a host with something odd in it, or a port that is no number"
        refuse_bad_host(place[1], unquote(place[2] or ""))
        ports += [place[3]] if place[3] else []
    if not all(is_port(port) for port in ports):
        return f"a port is a number from 1 to {PORT_MAX}"
    return None


def is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= PORT_MAX


def refuse_bad_host(number: str | None, name: str) -> None:
    """Raises ValueError."""
    if number is not None:
        ip_address(number)
    elif not name.startswith("/"):
        name.encode("idna")
        if ODD_IN_HOST.search(name):
            raise ValueError


def refuse_bad_files(field: str, address: str) -> None:
    """What it names must be readable by now. Raises SettingInvalid."""
    named = dict(parse_qsl(urlsplit(address).query))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    name = "passfile"
    try:
        if name in named:
            Path(named[name]).read_text(encoding="utf-8")
        for name in ("sslrootcert", "sslcrl"):
            if name in named:
                context.load_verify_locations(cafile=named[name])
        name = "sslcert"
        if name in named:
            password = named.get("sslpassword", "")
            context.load_cert_chain(named[name], named.get("sslkey"), lambda: password)
    except (OSError, ValueError) as error:  # An SSLError is one, too.
        why = error.strerror if isinstance(error, OSError) else "no text"
        raise SettingInvalid(f"{field}: {name}: {why}") from error
