"""What each code means, in the sentence that stands below it in errors.py."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Iterator, Mapping

from contraflow.errors import DoorCode, ErrorCode


def sentences_of(enumeration: type) -> Iterator[tuple[str, str]]:
    """Each value of an enum, and its sentence."""
    [tree] = ast.parse(inspect.getsource(enumeration)).body
    assert isinstance(tree, ast.ClassDef)
    for name, sentence in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(name, ast.Assign):
            assert isinstance(name.value, ast.Constant)
            assert isinstance(sentence, ast.Expr), f"{ast.unparse(name)} has no sentence"
            assert isinstance(sentence.value, ast.Constant)
            yield str(name.value.value), " ".join(str(sentence.value.value).split())


@functools.cache
def meanings() -> Mapping[str, str]:
    return {**dict(sentences_of(ErrorCode)), **dict(sentences_of(DoorCode))}
