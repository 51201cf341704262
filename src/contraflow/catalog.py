"""Plug-ins by name: the settings name a module, the module defines one way to open it."""

from __future__ import annotations

import importlib
from typing import Any

from contraflow.errors import PluginInvalid


def load(package: str, name: str, constant: str) -> Any:
    """Import `package.name` (or the dotted path `name`) and return what it defines.

    >>> load("contraflow.risk.rules", "many_partials", "RULE").name
    'many_partials'
    """
    path = name if "." in name else f"{package}.{name}"
    try:
        return getattr(importlib.import_module(path), constant)
    except (ImportError, AttributeError) as error:
        raise PluginInvalid(f"{path} does not define {constant}") from error
