"""A row in every table beside the business, as the statements of both databases put it there."""

from __future__ import annotations

from typing import Any

Row = tuple[str, tuple[Any, ...]]
DIGEST = bytes(32)
ROWS: tuple[Row, ...] = (
    (
        "INSERT INTO api_key VALUES "
        "($1, 'acme', 'shop', 'test', 'cf_test_', $2, '[]', '', '[]', '', $3, 1, NULL, NULL)",
        ("key_1", DIGEST, b""),
    ),
    (
        "INSERT INTO webhook_endpoint VALUES ($1, 'https://a.example', '', '', 'test', '[]', '{}', "
        "'[]', 'enabled', '', NULL, 1, 1)",
        ("acme/we_1",),
    ),
    (
        "INSERT INTO delivery VALUES "
        "($1, 'acme/we_1', 'evt_1', 'refund.sent', 1, $2, 'pending', 0, 1, 1, 0, '', NULL)",
        ("acme/we_1/evt_1", b"{}"),
    ),
    (
        "INSERT INTO refund_batch VALUES ($1, 'running', '', 'csv', 5, 3, 1, 1, '{}', '{}', '', 1, "
        "NULL, 0, '')",
        ("acme/rb_1",),
    ),
    ("INSERT INTO refund_batch_lines VALUES ($1, 1, $2)", ("acme/rb_1", b"")),
)
