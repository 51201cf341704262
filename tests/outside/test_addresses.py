"""Only public unicast is an address for a webhook, and only a plain URL is read."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow.outside.addresses import (
    DENIED_IPV4,
    DENIED_IPV6,
    LOOPBACK,
    PORTS,
    Denied,
    Target,
    judge_address,
    judge_url,
)

NAT64 = ip_network("64:ff9b::/96")

PUBLIC = (
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.0.3.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2001:db7:ffff::1",
    "2001:db9::1",
    "2003::1",
    "2400:3200::1",
    "2606:4700:4700::1111",
    "2a00:1450::1",
    "2c00::1",
)

# By what each of them is, its edges where it has any.
NOT_PUBLIC = {
    "unspecified": ("0.0.0.1", "0.255.255.255", "::"),
    "loopback": ("127.0.0.0", "127.0.0.1", "127.255.255.255", "::1"),
    "private": (
        "10.0.0.0",
        "10.255.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.168.0.0",
        "192.168.255.255",
    ),
    "shared by a carrier": ("100.64.0.0", "100.100.100.200", "100.127.255.255"),
    "link-local": ("169.254.0.0", "169.254.169.254", "169.254.255.255", "fe80::1", "febf::1"),
    "of a cloud": ("168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"),
    "for protocols": ("192.0.0.0", "192.0.0.9", "192.0.0.170", "192.0.0.255", "2001:1::1"),
    "for documentation": (
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1",
        "2001:db8::1",
        "2001:db8:ffff:ffff::1",
        "3fff::1",
        "3fff:fff:ffff::1",
    ),
    "for benchmarks": ("198.18.0.0", "198.19.255.255", "2001:2::1"),
    "AS112": ("192.31.196.1", "192.175.48.1", "2620:4f:8000::1"),
    "multicast tunnels": ("192.52.193.1", "2001:3::1"),
    "multicast": ("224.0.0.0", "239.255.255.255", "ff00::", "ff02::1", "ff0e::1"),
    "reserved": ("240.0.0.0", "255.255.255.255", "2d00::1", "2fff::1", "3ffe::1", "4000::1"),
    "unique local": ("fc00::1", "fdff:ffff::1"),
    "site-local": ("fec0::1", "feff::1"),
    "discard": ("100::1", "100:0:0:1::1"),
    "segment routing": ("5f00::1",),
    "ORCHID": ("2001:10::1", "2001:1f::1", "2001:20::1", "2001:2f::1"),
    "IPv4-mapped": ("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8"),
    "IPv4-compatible": ("::127.0.0.1", "::169.254.169.254", "::8.8.8.8"),
    "IPv4-translated": ("::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8"),
    "6to4": ("192.88.99.1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:808:808::1"),
    "Teredo": ("2001::1", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
    "NAT64": (
        "64:ff9b::127.0.0.1",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::10.0.0.1",
        "64:ff9b:1:ffff:ffff:ffff:808:808",
    ),
    "of one link": ("fe80::1%eth0", "2606:4700:4700::1111%1"),
}
EACH_NOT_PUBLIC = [(kind, text) for kind, texts in NOT_PUBLIC.items() for text in texts]


# Hostile URLs. $ is the port at which a real server listens on loopback.

LOOPBACK_SPELLINGS = (
    "127.0.0.1 127.0.0.2 127.255.255.255 127.1 127.0.1 127.000.000.001 "
    "0127.0.0.1 0177.0.0.1 0177.0.0.01 00000177.0.0.1 0177.0.1 0177.1 "
    "017700000001 0x7f.0.0.1 0x7f.0x0.0x0.0x1 0x7f.1 0x7F000001 0x7f000001 "
    "0x000000007f000001 0x7f.0x000001 2130706433 02130706433 4294967297 "
    "127.0x0.00.1 127.0.0.0x1 127.0.0.01 127.0.0.1. 127.0.0.1.. 127.1. "
    "2130706433. 0x7f000001. 0 0. 0x 0x. 0x0 00 0.0.0.0 0.0 0.0.0 "
    "000.000.000.000 127.0.0.1.0 127.0.0 1 1.1 127.0.0.256 383.0.0.1 "
    "127.0.0.-1 127..0.0.1 .127.0.0.1 127.0.0.1e0 shop.example.1 shop.0x7f "
    "0x7g.0x1 127.0.0.1%00 127.0.0.1%20 127%2e0%2e0%2e1 %31%32%37.0.0.1 "
    "1%32%37.0.0.1 127.0.0.1%2f １２７.0.0.1 127。0。0。1 127．0．0．1 "  # noqa: RUF001
    "127｡0｡0｡1 ①②⑦.0.0.1 ⑫7.0.0.1 １２７．０．０．１ ١٢٧.0.0.1 १२७.0.0.1 "  # noqa: RUF001
    "127.0.0.1\u200b 127.0.0\u00ad.1 0x７f.1 ２１３０７０６４３３"  # noqa: RUF001
)
IPV4_SPELLINGS = (
    "10.0.0.1 10.1 167772161 0x0a000001 012.0.0.1 172.16.0.1 172.31.255.255 192.168.0.1 "
    "192.168.1 3232235521 0xc0a80001 169.254.169.254 169.254.43518 2852039166 0xa9fea9fe "
    "0xa9.0xfe.0xa9.0xfe 0251.0376.0251.0376 0251.254.169.254 425.510.425.510 100.64.0.1 "
    "100.100.100.200 192.0.0.192 168.63.129.16 198.18.0.1 192.0.2.1 198.51.100.1 203.0.113.1 "
    "192.88.99.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 4294967295 0xffffffff"
)
IPV6_SPELLINGS = (
    "[::1] [0:0:0:0:0:0:0:1] [0000:0000:0000:0000:0000:0000:0000:0001] [::0001] [0::1] [::0:1] "
    "[::0.0.0.1] [::] [0::0] [::0.0.0.0] [::127.0.0.1] [::7f00:1] [::ffff:127.0.0.1] "
    "[::FFFF:7F00:1] [0:0:0:0:0:ffff:7f00:0001] [::ffff:0:127.0.0.1] [::ffff:169.254.169.254] "
    "[::ffff:a9fe:a9fe] [::ffff:10.0.0.1] [::ffff:8.8.8.8] [64:ff9b::127.0.0.1] "
    "[64:ff9b::7f00:1] [64:ff9b::a9fe:a9fe] [64:ff9b::8.8.8.8] [64:ff9b:1::7f00:1] "
    "[64:ff9b:1:2::a00:1] [2002:7f00:1::] [2002:7f00:0001::1] [2002:a9fe:a9fe::1] "
    "[2002:a00:1::] [2002:808:808::] [2001::1] [2001:0:7f00:1::80ff:fffe] [2001:10::1] "
    "[2001:20::1] [2001:2::1] [2001:db8::1] [3fff::1] [fc00::1] [fd00:ec2::254] [fd12:3456::1] "
    "[fe80::1] [febf::1] [fec0::1] [ff02::1] [ff0e::1] [100::1] [5f00::1] [4000::1] [::1%25lo] "
    "[::1%lo] [fe80::1%25eth0] [fe80::1%eth0] [fe80::1%251] [2606:4700::1%25lo] [::1%] [::1 "
    "::1] [] [:] [:::1] [::1::] [1] [127.0.0.1] [localhost] [shop.example] [[::1]] ::1 "
    "[v1.127] [0:0:0:0:0:0:0:0:1] [::00001] [::ffff:127.1] [::ffff:0177.0.0.1] "
    "[::ffff:0x7f.0.0.1]"
)
LOCAL_WORDS = (
    "localhost LOCALHOST localhost. localhost.. localhost.localdomain.local a.localhost "
    "metadata metadata.google.internal printer.local router.home.arpa a.onion kubernetes "
    "intranet db"
)
ODD_HOSTS = (
    ". .. .example shop..example .shop.example shop.example. "
    "shop.example.. -shop.example shop-.example shop_.example *.example "
    "shop.example, shop.exa!mple shop.example;a shop.exa%6dple %6cocalhost "
    "localhos%74 ⓛocalhost ｌocalhost ſhop.example shop。example "  # noqa: RUF001
    "ｓhop.example bücher.example 例子.example ℓocalhost "  # noqa: RUF001
    "localhost%00.example localhost%23.example shop.example\u3002 "
    "shop.example\uff0f127.0.0.1"
)
AUTHORITIES = (
    "user@127.0.0.1:$",
    "user:password@127.0.0.1:$",
    "user:password@shop.example",
    ":@shop.example",
    "@shop.example",
    "@127.0.0.1:$",
    "shop.example@127.0.0.1:$",
    "127.0.0.1:$@shop.example",
    "shop.example:443@127.0.0.1:$",
    "a@b@127.0.0.1:$",
    "shop.example%40127.0.0.1:$",
    "shop.example\\@127.0.0.1:$",
    "127.0.0.1:$\\@shop.example",
    "shop.example\\.127.0.0.1",
    "shop.example#@127.0.0.1:$",
    "127.0.0.1:$#@shop.example",
    "shop.example:$:443",
    "shop.example:443:$",
    "127.0.0.1:443:$",
    "shop.example:",
    "shop.example:0",
    "shop.example:0443",
    "shop.example:+443",
    "shop.example:-443",
    "shop.example: 443",
    "shop.example:443 ",
    "shop.example:4_43",
    "shop.example:0x1bb",
    "shop.example:４４３",  # noqa: RUF001
    "shop.example:https",
    "shop.example:65979",
    "shop.example:18446744073709552059",
    "[::1]:$@shop.example",
    "[2606:4700::1]8443",
    "[2606:4700::1].example",
    "a[2606:4700::1]",
    " shop.example",
    "shop.example ",
    "shop.example\t",
    "shop.\texample",
    "shop.\nexample",
    "shop.example\r\nHost: 127.0.0.1",
    "shop.example\x00",
    "shop.example\x00.127.0.0.1",
    "shop.example\x7f",
    "shop.example\u2028",
)
DENIED_PORTS = (1, 21, 22, 25, 53, 80, 110, 3306, 5432, 6379, 8080, 9200, 11211, 27017, 65535)
WHOLE_URLS = (
    "",
    " ",
    "https",
    "https:",
    "https:/",
    "https://",
    "https:///",
    "https:///shop.example/",
    "https:////shop.example/",
    "https:/shop.example/",
    "https:shop.example/",
    "https:\\\\shop.example/",
    "https:/\\shop.example/",
    "https://\\shop.example/",
    "https://?a",
    "https://#a",
    "https://:443/",
    "//shop.example/",
    "shop.example",
    "shop.example:443/",
    "/shop.example",
    " https://shop.example/",
    "https://shop.example/ ",
    "\thttps://shop.example/",
    "\nhttps://shop.example/",
    "https://shop.example/\n",
    "\x00https://shop.example/",
    "\ufeffhttps://shop.example/",
    "ht\ttps://shop.example/",
    "https ://shop.example/",
    "https\u200b://shop.example/",
    "ｈttps://shop.example/",  # noqa: RUF001
    "http://shop.example/",
    "http://shop.example:443/",
    "http://127.0.0.1:$/",
    "http://localhost:$/",
    "HTTP://127.0.0.1:$/",
    "ws://shop.example/",
    "wss://shop.example/",
    "unix:///run/docker.sock",
    "http+unix://%2frun%2fdocker.sock/",
    "file:///etc/passwd",
    "file://shop.example/etc/passwd",
    "FILE:///etc/passwd",
    "gopher://127.0.0.1:$/_POST",
    "dict://127.0.0.1:$/info",
    "ftp://127.0.0.1:$/",
    "tftp://127.0.0.1:$/a",
    "ldap://127.0.0.1:$/",
    "sftp://127.0.0.1:$/",
    "jar:https://shop.example!/",
    "netdoc:///etc/passwd",
    "data:text/plain,hello",
    "data://text/plain,hello",
    "javascript:alert(1)",
    "mailto:a@shop.example",
    "blob:https://shop.example/a",
    "view-source:https://shop.example/",
    "url:https://shop.example/",
    "https+http://shop.example/",
    "https://shop.example/#",
    "https://shop.example/#a",
    "https://shop.example#@127.0.0.1:$/",
    "https://shop.example\\a",
    "https://shop.example/\\a",
    "https://shop.example/a b",
    "https://shop.example/a\tb",
    "https://shop.example/a\r\nX: 1",
    "https://shop.example/%",
    "https://shop.example/%2",
    "https://shop.example/%zz",
    "https://shop.example/{a}",
    'https://shop.example/"',
    "https://shop.example/<",
    "https://shop.example/^",
    "https://shop.example/`",
    "https://shop.example/|",
    "https://shop.example/[a]",
    "https://shop.example/é",
    "https://shop.example/?é",
    "https://shop.example/?a b",
    f"https://{'a' * 64}.example/",
    f"https://{'a.' * 124}example/",
    f"https://{'a' * 5_000}/",
    f"https://{'a' * 100_000}.example/",
    f"https://[{'0' * 5_000}::1]/",
    f"https://{'9' * 5_000}/",
    f"https://{'0' * 300}.0.0.1/",
    f"https://shop.example:{'4' * 5_000}/",
    f"https://shop.example/{'a' * 3_000}",
)
HOSTILE_URLS = (
    *(
        f"https://{host}{port}/hook"
        for words in (LOOPBACK_SPELLINGS, IPV6_SPELLINGS, LOCAL_WORDS, ODD_HOSTS)
        for host in words.split(" ")
        for port in ("", ":$")
    ),
    *(f"https://{host}/hook" for host in IPV4_SPELLINGS.split(" ")),
    *(f"https://{authority}/hook" for authority in AUTHORITIES),
    *(f"https://shop.example:{port}/hook" for port in DENIED_PORTS),
    *WHOLE_URLS,
)


# Addresses


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_allowed(text: str) -> None:
    assert judge_address(ip_address(text)) is None


@pytest.mark.parametrize(("kind", "text"), EACH_NOT_PUBLIC)
def test_no_other_address_is(kind: str, text: str) -> None:
    assert judge_address(ip_address(text)) is not None, kind


def test_the_property_of_python_is_wrong_about_many_of_them() -> None:
    called_global = {kind for kind, text in EACH_NOT_PUBLIC if ip_address(text).is_global}

    assert {"multicast", "6to4", "NAT64", "IPv4-compatible"} <= called_global


@given(st.ip_addresses())
def test_nothing_is_allowed_that_python_calls_not_global(
    address: IPv4Address | IPv6Address,
) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert judge_address(address) is not None


@pytest.mark.parametrize("network", [*DENIED_IPV4, *DENIED_IPV6], ids=str)
def test_both_ends_of_each_denied_network_are_denied(network: object) -> None:
    assert judge_address(network[0]) is not None  # type: ignore[index]
    assert judge_address(network[-1]) is not None  # type: ignore[index]


@given(st.ip_addresses(v=4))
def test_an_address_within_another_one_is_denied_whatever_it_is(within: IPv4Address) -> None:
    number = int(within)
    for outer in (
        (0xFFFF << 32) | number,
        (0x2002 << 112) | (number << 80),
        (0x0064_FF9B << 96) | number,
        (0x0064_FF9B_0001 << 80) | number,
        (0x2001_0000 << 96) | (number ^ 0xFFFF_FFFF),
        number,
    ):
        assert judge_address(IPv6Address(outer)) is not None


# Networks that are permitted


@pytest.mark.parametrize("text", ["127.0.0.1", "127.8.8.8", "::1"])
def test_a_permitted_network_may_be_reached(text: str) -> None:
    assert judge_address(ip_address(text), LOOPBACK) is None


@pytest.mark.parametrize("text", ["10.0.0.1", "169.254.169.254", "::", "::2", "::ffff:127.0.0.1"])
def test_nothing_else_is_reached_by_it(text: str) -> None:
    assert judge_address(ip_address(text), LOOPBACK) is not None


def test_where_nat64_is_permitted_the_address_in_it_is_judged() -> None:
    denied = ("127.0.0.1", "169.254.169.254", "10.0.0.1", "224.0.0.1")

    assert judge_address(ip_address("64:ff9b::8.8.8.8"), [NAT64]) is None
    assert all(judge_address(ip_address(f"64:ff9b::{each}"), [NAT64]) for each in denied)


# URLs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://shop.example", "https://shop.example/"),
        ("https://shop.example/", "https://shop.example/"),
        ("HTTPS://Shop.EXAMPLE/Hooks", "https://shop.example/Hooks"),
        ("https://shop.example:443/a", "https://shop.example/a"),
        ("https://shop.example:8443/a", "https://shop.example:8443/a"),
        ("https://shop.example/a/../b//c/%2e%2e", "https://shop.example/a/../b//c/%2e%2e"),
        ("https://shop.example/a?b=c&d=%20/?", "https://shop.example/a?b=c&d=%20/?"),
        ("https://shop.example?a=b", "https://shop.example/?a=b"),
        ("https://shop.example/a@b", "https://shop.example/a@b"),
        ("https://shop.example/http://127.0.0.1", "https://shop.example/http://127.0.0.1"),
        ("https://xn--fiqs8s.example/", "https://xn--fiqs8s.example/"),
        ("https://1password.example/", "https://1password.example/"),
        ("https://127.0.0.1.example/", "https://127.0.0.1.example/"),
        ("https://8.8.8.8/a", "https://8.8.8.8/a"),
        ("https://[2606:4700:0:0::1111]/a", "https://[2606:4700::1111]/a"),
        ("https://[2A00::1]:8443", "https://[2a00::1]:8443/"),
        (f"https://{'a.' * 123}example/", f"https://{'a.' * 123}example/"),
        (f"https://{'a' * 63}.{'b' * 63}.example/", f"https://{'a' * 63}.{'b' * 63}.example/"),
    ],
)
def test_a_plain_url_has_one_spelling(text: str, expected: str) -> None:
    target = judge_url(text)

    assert isinstance(target, Target)
    assert target.url == expected


def test_the_one_spelling_is_judged_alike() -> None:
    target = judge_url("https://[2606:4700:0:0::1111]:8443?a")

    assert isinstance(target, Target)
    assert judge_url(target.url) == target


def test_a_name_is_left_to_the_resolver_and_an_address_is_not() -> None:
    name, address = judge_url("https://shop.example"), judge_url("https://8.8.8.8")

    assert isinstance(name, Target)
    assert isinstance(address, Target)
    assert (name.address, address.address) == (None, ip_address("8.8.8.8"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http://shop.example/", "the scheme is not https"),
        ("https://shop.example:80/", "the port is none of 443, 8443"),
        ("https://a@shop.example/", "the URL has a user in it"),
        ("https://shop.example/#a", "the URL has a fragment"),
        ("https://shop.example/ä", "not in ASCII"),
        ("https://shop.example/a b", "no URL in the form of RFC 3986"),
        ("https://127.1/", "no address in its usual form"),
        ("https://127.0.0.1/", "loopback"),
        ("https://10.0.0.1/", "private"),
        ("https://[::1]/", "no global unicast"),
        ("https://localhost/", "no public name"),
        ("https://a_b.example/", "letters, digits and hyphens"),
        ("https://shop.example/" + "a" * 2_048, "more than 2048 characters"),
    ],
)
def test_a_refusal_says_what_is_wrong(text: str, reason: str) -> None:
    denied = judge_url(text)

    assert isinstance(denied, Denied)
    assert reason in denied.reason


def test_plain_http_needs_to_be_allowed_and_its_port_too() -> None:
    text = "http://shop.example:8080/"

    assert isinstance(judge_url(text, allows_http=True), Denied)
    assert isinstance(judge_url(text, ports={8080}), Denied)
    assert isinstance(judge_url(text, allows_http=True, ports={8080}), Target)


def test_local_names_need_a_network_that_is_permitted() -> None:
    assert isinstance(judge_url("https://localhost/"), Denied)
    assert isinstance(judge_url("https://localhost/", permitted=LOOPBACK), Target)


@given(st.text(max_size=40))
def test_whatever_is_written_gets_an_answer(text: str) -> None:
    for url in (text, f"https://{text}", f"https://shop.example{text}"):
        judged = judge_url(url)
        if isinstance(judged, Target):
            assert judge_url(judged.url) == judged


def test_the_corpus_is_large() -> None:
    assert len(HOSTILE_URLS) == len(set(HOSTILE_URLS)) >= 400


@pytest.mark.parametrize("url", HOSTILE_URLS, ids=lambda url: ascii(url[:60]))
def test_a_hostile_url_is_refused_by_how_it_is_written(url: str) -> None:
    written = url.replace("$", "40001")

    assert isinstance(judge_url(written, ports=PORTS | {40_001}), Denied)
