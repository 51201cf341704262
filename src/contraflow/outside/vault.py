"""Secrets that must be read again: sealed in the database under a key that is not in it."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from contraflow.errors import SettingInvalid

BYTES = 32
NONCE_BYTES = 12
SEALED = b"\x01"  # The version of the form: AES-256-GCM, a random nonce before the text.


@dataclass(frozen=True, slots=True)
class Vault:
    """Of one master key; everything else follows from it, each for its own purpose."""

    master: bytes = field(repr=False)

    def derived(self, purpose: str) -> bytes:
        """32 bytes for this purpose alone (RFC 5869)."""
        kdf = HKDF(
            algorithm=SHA256(), length=BYTES, salt=None, info=f"contraflow/{purpose}".encode()
        )
        return kdf.derive(self.master)

    def seal(self, place: str, secret: bytes) -> bytes:
        """`place` names the row that will hold it: elsewhere it does not open."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        text = AESGCM(self.derived("seal")).encrypt(nonce, secret, SEALED + place.encode())
        return SEALED + nonce + text

    def unseal(self, place: str, sealed: bytes) -> bytes:
        """Raises SettingInvalid where it was sealed with another key, or for another place."""
        nonce, text = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return AESGCM(self.derived("seal")).decrypt(nonce, text, sealed[:1] + place.encode())
        except (InvalidTag, ValueError) as error:
            raise SettingInvalid(f"secret_file: it does not open {place}") from error


def open_vault(path: Path, *, may_make: bool) -> Vault:
    """32 bytes in hexadecimal. Raises SettingInvalid if there is none and none may be made."""
    if may_make and not path.exists():
        _make(path)
    try:
        master = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise SettingInvalid(f"secret_file: {path}: no 32 bytes in hexadecimal") from error
    if len(master) != BYTES:
        raise SettingInvalid(f"secret_file: {path}: no 32 bytes in hexadecimal")
    return Vault(master)


def _make(path: Path) -> None:
    """Whole or not at all; whoever is first wins."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
