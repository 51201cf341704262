"""API keys: made, listed, replaced and revoked, also while a server runs."""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from msgspec import Struct
from msgspec.structs import replace

from contraflow import annex, wiring
from contraflow.annex import Annex
from contraflow.cli import paper
from contraflow.cli import parameters as p
from contraflow.cli.place import Place, place_of
from contraflow.engine.views import time_text
from contraflow.requests import fields
from contraflow.requests.fields import FieldInvalid
from contraflow.requests.scopes import ROLES, Scope
from contraflow.requests.tokens import MODES, RANDOM_BYTES, hash_of, hint_of, token_of
from contraflow.store import ApiKey
from contraflow.wire.http_signature import is_public_key

T = TypeVar("T")
keys = typer.Typer(help="API keys: create, list, rotate, revoke.")
SECRET_BYTES = 32
NetworkNames = Annotated[
    list[str] | None,
    typer.Option("--network", metavar="CIDR", help="From where it may call; may be repeated."),
]
ScopeNames = Annotated[
    list[str] | None, typer.Option("--scope", help="Instead of a role; may be repeated.")
]
KeyName = Annotated[str, typer.Argument(metavar="KEY_ID", help="As `keys list` shows it.")]


class Made(Struct, frozen=True, kw_only=True):
    """Told once: of the key itself only a hash is kept."""

    id: str
    key: str
    signing_secret: str | None  # Of HMAC, in base64.


class KeyView(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    mode: str
    hint: str
    scopes: tuple[str, ...]
    merchant: str
    networks: tuple[str, ...]
    signature: str | None
    status: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None


@keys.command("create")
def create(
    *,
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    mode: Annotated[str, typer.Option(help="test: channels that move no money; or live.")] = "test",
    role: Annotated[str, typer.Option(help=f"{', '.join(ROLES)}.")] = "all",
    scope: ScopeNames = None,
    merchant: Annotated[str, typer.Option(help="Only this one's payments.")] = "",
    network: NetworkNames = None,
    expires: Annotated[str | None, typer.Option(metavar="24h", help="How long it lives.")] = None,
    sign: Annotated[
        str,
        typer.Option(
            metavar="HOW",
            help="Money calls need a signature: hmac-sha256, or ed25519:PUBLIC_KEY in base64.",
        ),
    ] = "",
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """Make a key, and show it this once."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    now = wiring.now_ms()
    draft = ApiKey(
        key_id=f"key_{wiring.fresh_key()}",
        tenant=place.tenant,
        name=fields.words("name", name),
        mode=mode_of(mode),
        hint="",
        sha256=b"",
        scopes=scopes_of(role, scope),
        merchant=fields.optional_name("merchant", merchant),
        networks=tuple(network_of(each) for each in network or ()),
        algorithm="",
        material=b"",
        created_at=now,
        expires_at=None if expires is None else now + fields.duration_ms("expires", expires),
        revoked_at=None,
    )
    key, secret = signing(place, draft, sign)
    wiring.prepare(place.settings)
    show_made(place, *beside(place, lambda annexed: issue(annexed, key)), secret)


@keys.command("list")
def list_keys(
    *,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """All keys of the tenant, the oldest first."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    now = wiring.now_ms()
    found = beside(place, lambda annexed: annexed.keys.list_keys(place.tenant))
    views = [view_of(key, now) for key in found]
    if as_json:
        paper.print_json(views)
        return
    heads = ("id", "name", "mode", "begins", "scopes", "merchant", "signature", "status")
    rows = [
        (*(v.id, v.name, v.mode, v.hint), " ".join(v.scopes), v.merchant, v.signature, v.status)
        for v in views
    ]
    paper.print_table("keys", heads, rows)


@keys.command("rotate")
def rotate(
    *,
    key_id: KeyName,
    overlap: Annotated[str, typer.Option(metavar="24h", help="The old one lives on.")] = "24h",
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """Make another key like this one; the old one ends after the overlap."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    now = wiring.now_ms()
    until = now + fields.duration_ms("overlap", overlap)

    async def replace_key(annexed: Annex) -> tuple[ApiKey, str, str | None]:
        old = await one_of(annexed, place, key_id)
        fresh = replace(old, key_id=f"key_{wiring.fresh_key()}", created_at=now, revoked_at=None)
        again = "hmac-sha256" if old.algorithm == "hmac-sha256" else ""
        fresh, secret = signing(place, fresh, again) if again else (fresh, None)
        made, token = await issue(annexed, fresh)
        await annexed.keys.expire(place.tenant, key_id, until)
        return made, token, secret

    made, token, secret = beside(place, replace_key)
    show_made(place, made, token, secret)


@keys.command("revoke")
def revoke(
    *,
    key_id: KeyName,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """End a key; within a second no process takes it any more."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    now = wiring.now_ms()

    async def end(annexed: Annex) -> ApiKey:
        await one_of(annexed, place, key_id)
        await annexed.keys.revoke(place.tenant, key_id, now)
        return await one_of(annexed, place, key_id)

    view = view_of(beside(place, end), now)
    if as_json:
        paper.print_json(view)
    else:
        paper.print_line(f"{view.id} {view.status}")


def beside(place: Place, work: Callable[[Annex], Awaitable[T]]) -> T:
    async def opened() -> T:
        async with annex.open_annex(place.settings) as annexed:
            return await work(annexed)

    wiring.refuse_missing(place.settings)
    return asyncio.run(opened())


async def issue(annexed: Annex, draft: ApiKey) -> tuple[ApiKey, str]:
    token = token_of(draft.mode, wiring.fresh_bytes(RANDOM_BYTES))
    sha256 = hash_of(token)
    assert sha256 is not None
    key = replace(draft, sha256=sha256, hint=hint_of(token))
    await annexed.keys.add(key)
    return key, token


async def one_of(annexed: Annex, place: Place, key_id: str) -> ApiKey:
    for key in await annexed.keys.list_keys(place.tenant):
        if key.key_id == key_id:
            return key
    raise FieldInvalid("key_id", "no such key; see: contraflow keys list")


def signing(place: Place, draft: ApiKey, how: str) -> tuple[ApiKey, str | None]:
    """The key with what its signatures are verified by, and the secret that is told once."""
    if not how:
        return draft, None
    if how == "hmac-sha256":
        secret = wiring.fresh_bytes(SECRET_BYTES)
        sealed = annex.vault_of(place.settings).seal(draft.key_id, secret)
        return replace(draft, algorithm=how, material=sealed), base64.b64encode(secret).decode()
    algorithm, _, text = how.partition(":")
    try:
        material = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        material = b""
    if algorithm != "ed25519" or not is_public_key(material):
        raise FieldInvalid(
            "sign", "hmac-sha256, or ed25519: and a public key of 32 bytes in base64"
        )
    return replace(draft, algorithm=algorithm, material=material), None


def mode_of(text: str) -> str:
    if text not in MODES:
        raise FieldInvalid("mode", "test or live")
    return text


def scopes_of(role: str, names: list[str] | None) -> tuple[str, ...]:
    if names is None and role not in ROLES:
        raise FieldInvalid("role", f"one of {', '.join(ROLES)}")
    for name in names or ():
        if name not in set(Scope):
            raise FieldInvalid("scope", f"one of {', '.join(Scope)}")
    return tuple(names) if names else tuple(str(each) for each in ROLES[role])


def network_of(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise FieldInvalid("network", "a network like 10.0.0.0/8 or 2001:db8::/32") from None


def view_of(key: ApiKey, now: int) -> KeyView:
    is_over = key.expires_at is not None and key.expires_at <= now
    status = "revoked" if key.revoked_at is not None else "expired" if is_over else "active"
    return KeyView(
        id=key.key_id,
        name=key.name,
        mode=key.mode,
        hint=key.hint,
        scopes=key.scopes,
        merchant=key.merchant,
        networks=key.networks,
        signature=key.algorithm or None,
        status=status,
        created_at=time_text(key.created_at),
        expires_at=None if key.expires_at is None else time_text(key.expires_at),
        revoked_at=None if key.revoked_at is None else time_text(key.revoked_at),
    )


def show_made(place: Place, key: ApiKey, token: str, secret: str | None) -> None:
    if place.as_json:
        paper.print_json(Made(id=key.key_id, key=token, signing_secret=secret))
        return
    typer.echo(f"{key.key_id}, shown only now:", err=True)
    typer.echo(token)
    if secret is not None:
        typer.echo(f"signing secret {secret}", err=True)
