"""Who may log in: the server learns no password, only how to check one."""

from __future__ import annotations

import base64
import hashlib
import hmac

from contraflow.store.postgres_logins import ITERATIONS, Login, new_password, scram_secret

# The exchange of RFC 7677, section 3.
SALT = "W22ZaJ0SNY7soEsUEjb6gQ=="
MESSAGES = (
    "n=user,r=rOprNGfwEbeRWgbNEkqO,"
    f"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s={SALT},i=4096,"
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
)
PROOF = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SIGNATURE = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_what_the_server_keeps_checks_the_exchange_of_the_standard() -> None:
    secret = scram_secret("pencil", base64.b64decode(SALT))
    head, salt, keys = secret.split("$")[0], secret.split("$")[1], secret.split("$")[2]
    stored_key, server_key = (base64.b64decode(key) for key in keys.split(":"))
    signed = hmac.digest(stored_key, MESSAGES.encode(), "sha256")
    client_key = bytes(a ^ b for a, b in zip(base64.b64decode(PROOF), signed, strict=True))

    assert (head, salt) == ("SCRAM-SHA-256", f"{ITERATIONS}:{SALT}")
    assert hashlib.sha256(client_key).digest() == stored_key
    assert base64.b64encode(hmac.digest(server_key, MESSAGES.encode(), "sha256")).decode() == (
        SIGNATURE
    )
    assert "pencil" not in secret


def test_a_password_is_long_and_its_login_does_not_print_it() -> None:
    password, other = new_password(), new_password()

    assert password != other
    assert len(password) >= 32
    assert password not in repr(Login("writer", password))
