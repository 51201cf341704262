"""Judges a URL that a stranger chose, and every address that its name has, without the network.

Only what has one reading is taken: RFC 3986 in ASCII, and a host that is a name (RFC 1123), an
IPv4 address of four decimal numbers, or an IPv6 address in brackets (RFC 4291).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from msgspec import Struct

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

URL_CHARACTERS_MAX = 2_048
HOST_CHARACTERS_MAX = 253  # RFC 1035 section 2.3.4, without the final dot.
PORTS = frozenset({443, 8443})
DEFAULT_PORTS = {"https": 443, "http": 80}
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))  # To permit for development.

URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<host>\[[0-9A-Fa-f:.]*\]|[A-Za-z0-9._-]*)(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<path>(?:/(?:[A-Za-z0-9/:@!$&'()*+,;=._~-]|%[0-9A-Fa-f]{2})*)?)"
    r"(?P<query>(?:\?(?:[A-Za-z0-9/?:@!$&'()*+,;=._~-]|%[0-9A-Fa-f]{2})*)?)"
)
LABEL = r"([a-z0-9-]{0,61}[a-z0-9])?"  # But for its first character.
NAME = re.compile(rf"([a-z0-9]{LABEL}\.)*[a-z]{LABEL}")  # No top-level domain begins with a digit.
# What some reader takes for an IPv4 address: WHATWG URL, "ends in a number checker".
NUMBER_LAST = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")

# Never in the public DNS: RFC 6761, 6762, 7686, 8375, and ICANN's resolution on .internal.
LOCAL_NAMES = ("localhost", "local", "onion", "home.arpa", "internal")

# The IANA IPv4 Special-Purpose Address Registry, in whole, multicast, and one of a cloud.
DENIED_IPV4 = {
    ip_network(network): kind
    for network, kind in {
        "0.0.0.0/8": "unspecified",
        "10.0.0.0/8": "private",
        "100.64.0.0/10": "shared between customers of a carrier",
        "127.0.0.0/8": "loopback",
        "169.254.0.0/16": "link-local",
        "172.16.0.0/12": "private",
        "192.0.0.0/24": "reserved for protocols",
        "192.0.2.0/24": "for documentation",
        "192.31.196.0/24": "reserved for AS112",
        "192.52.193.0/24": "reserved for multicast tunnels",
        "192.88.99.0/24": "a relay of 6to4",
        "192.168.0.0/16": "private",
        "192.175.48.0/24": "reserved for AS112",
        "198.18.0.0/15": "for benchmarks",
        "198.51.100.0/24": "for documentation",
        "203.0.113.0/24": "for documentation",
        "224.0.0.0/4": "multicast",
        "240.0.0.0/4": "reserved",
        "168.63.129.16/32": "of a cloud's own host",  # Azure's, on every machine there.
    }.items()
}

# Global unicast is 2000::/3 (RFC 4291 section 2.4), and of it only what IANA has given away.
GLOBAL_IPV6 = IPv6Network("2000::/3")
DENIED_IPV6 = {
    ip_network(network): kind
    for network, kind in {
        "2001::/23": "reserved for protocols",  # Teredo, ORCHID, benchmarks and others.
        "2001:db8::/32": "for documentation",
        "2002::/16": "6to4",
        "2620:4f:8000::/48": "reserved for AS112",
        "2d00::/8": "reserved",
        "2e00::/7": "reserved",
        "3000::/4": "reserved",  # Holds 3fff::/20, for documentation (RFC 9637).
    }.items()
}
IPV4_AT_THE_END = tuple(map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")))


class Target(Struct, frozen=True, kw_only=True):
    """Where a URL leads, in the one spelling that is used from here on."""

    scheme: str  # "https", or "http" where that is allowed.
    host: str  # In lower case; an IPv6 address without its brackets.
    port: int
    path: str  # With its query; never empty.
    address: Address | None  # Where the host is one, so that nothing is resolved.

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"


class Denied(Struct, frozen=True):
    """The reason can be told to whoever chose the URL: it holds nothing that he did not say."""

    reason: str


def judge_url(
    text: str,
    *,
    allows_http: bool = False,
    ports: Collection[int] = PORTS,
    permitted: Collection[Network] = (),
) -> Target | Denied:
    """`permitted` are networks that may be reached although they are not public.

    A target whose `address` is None is a name: its addresses are judged when it is resolved.
    """
    found = URL.fullmatch(text) if len(text) <= URL_CHARACTERS_MAX else None
    if found is None:
        return Denied(complaint_about(text))
    scheme = found["scheme"].lower()
    if scheme != "https" and not (scheme == "http" and allows_http):
        return Denied("the scheme is not https")
    port = int(found["port"] or DEFAULT_PORTS[scheme])
    if port not in ports:
        return Denied(f"the port is none of {', '.join(map(str, sorted(ports)))}")
    host = host_of(found["host"].lower(), permitted)
    if isinstance(host, Denied):
        return host
    return Target(
        scheme=scheme,
        host=str(host),
        port=port,
        path=(found["path"] or "/") + found["query"],
        address=None if isinstance(host, str) else host,
    )


def judge_address(address: Address, permitted: Collection[Network] = ()) -> Denied | None:
    """None for public unicast. `ipaddress.is_global` says yes to far more than that.

    An IPv6 address with an IPv4 address in it is denied, whatever that is; where a network
    permits it (NAT64, say), the IPv4 address in it is judged in its place.
    """
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return Denied("the address belongs to one link")
        within = ipv4_within(address)
        if within is not None and (denied := judge_address(within, permitted)):
            return denied
    if any(address in network for network in permitted):
        return None
    kind = kind_of(address)
    return Denied(f"the address is not public: {kind}") if kind else None


def kind_of(address: Address) -> str | None:
    """What an address is for, if not for the public."""
    if isinstance(address, IPv6Address) and address not in GLOBAL_IPV6:
        return "no global unicast"
    denied = DENIED_IPV4 if isinstance(address, IPv4Address) else DENIED_IPV6
    return next((kind for network, kind in denied.items() if address in network), None)


def ipv4_within(address: IPv6Address) -> IPv4Address | None:
    """Where a translator or a tunnel on the way would take it (RFC 4291, 3056, 4380, 6052)."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if int(address) > 1 and any(address in network for network in IPV4_AT_THE_END):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def host_of(text: str, permitted: Collection[Network]) -> str | Address | Denied:
    """Text in lower case to a name or a judged address."""
    if text.startswith("["):
        address: Address | None = ipv6_of(text[1:-1])
    elif NUMBER_LAST.fullmatch(text):
        address = ipv4_of(text)
    else:
        return name_of(text, permitted)
    if address is None:
        return Denied("the host is no address in its usual form")
    return judge_address(address, permitted) or address


def ipv4_of(text: str) -> IPv4Address | None:
    """Four decimal numbers without leading zeros; Python 3.11 takes nothing else."""
    try:
        return IPv4Address(text)
    except ValueError:
        return None


def ipv6_of(text: str) -> IPv6Address | None:
    try:
        return IPv6Address(text)
    except ValueError:
        return None


def name_of(text: str, permitted: Collection[Network]) -> str | Denied:
    """A single word is a name of one's own network; such a name needs a network permitted."""
    if len(text) > HOST_CHARACTERS_MAX or not NAME.fullmatch(text):
        return Denied("the host is no name of letters, digits and hyphens between dots")
    is_local = "." not in text or text.endswith(tuple(f".{name}" for name in LOCAL_NAMES))
    if is_local and not permitted:
        return Denied("the host is no public name")
    return text


def complaint_about(text: str) -> str:
    """The likeliest mistakes by name."""
    authority = re.split(r"[/?#\\]", text.partition("://")[2], maxsplit=1)[0]
    if len(text) > URL_CHARACTERS_MAX:
        return f"the URL has more than {URL_CHARACTERS_MAX} characters"
    if not text.isascii():
        return "the URL is not in ASCII: write a name as xn--..., a path with %XX"
    if "@" in authority:
        return "the URL has a user in it"
    if "#" in text:
        return "the URL has a fragment"
    return "the text is no URL in the form of RFC 3986"
