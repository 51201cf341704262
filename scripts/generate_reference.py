"""Write the reference pages that the code already knows. `--check` fails if they are stale."""

from __future__ import annotations

import ast
import inspect
import io
import sys
import tokenize
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from types import ModuleType

from api_page import api_parts, table_of

from contraflow import errors
from contraflow.api.meanings import sentences_of
from contraflow.domain import lifecycle
from contraflow.engine import limits

PAGES = Path(__file__).parent.parent / "docs" / "reference"
NOTE = "<!-- Written by scripts/generate_reference.py from {source}; change it there. -->"


def error_page() -> str:
    """The codes in order, then the exceptions: every way in which contraflow complains."""
    rows = [[f"`{value}`", sentence] for value, sentence in sentences_of(errors.ErrorCode)]
    door_rows = [[f"`{value}`", sentence] for value, sentence in sentences_of(errors.DoorCode)]
    exceptions = [
        [f"`{name}`", f"`{kind.__mro__[1].__name__}`", " ".join((kind.__doc__ or "").split())]
        for name, kind in vars(errors).items()
        if inspect.isclass(kind)
        and issubclass(kind, BaseException)
        and kind.__module__ == errors.__name__
    ]
    return page(
        "Errors",
        "src/contraflow/errors.py",
        "## Codes",
        "A refusal carries one code: the first that applies, in this order.\n"
        "A code is never renamed or reused.",
        table_of(("Code", "Meaning"), rows),
        "## Codes of the HTTP door",
        "The door answers with these without having asked the rules.",
        table_of(("Code", "Meaning"), door_rows),
        "## Exceptions",
        "An `OperationalError` means that the world misbehaved; an `AssertionError` is our bug.",
        table_of(("Exception", "Is a", "Meaning"), exceptions),
    )


def state_page() -> str:
    """A diagram and two tables for every table of transitions in lifecycle.py."""
    parts: list[str] = []
    for name, transitions in vars(lifecycle).items():
        if name.endswith("TRANSITIONS") and not name.startswith("_"):
            parts += life(name.removesuffix("TRANSITIONS"), transitions)
    assert parts, "lifecycle.py has no TRANSITIONS"
    return page("States", "src/contraflow/domain/lifecycle.py", *parts)


def life(prefix: str, transitions: Mapping[tuple[StrEnum, StrEnum], StrEnum]) -> list[str]:
    births: Mapping[StrEnum, StrEnum] = getattr(lifecycle, prefix + "BIRTHS", {})
    final: frozenset[StrEnum] = getattr(lifecycle, prefix + "FINAL", frozenset())
    facts: frozenset[StrEnum] = getattr(lifecycle, prefix + "FACTS", frozenset())
    meanings = comments_of(lifecycle)
    kind = type(next(iter(transitions.values())))
    edges = [
        *(f"    [*] --> {state}: {step}" for step, state in births.items()),
        *(f"    {state} --> {after}: {step}" for (state, step), after in transitions.items()),
        *(f"    {state} --> [*]" for state in kind if state in final),
    ]
    states = [
        [
            f"`{state}`",
            "yes" if state in final else "",
            meanings.get((kind.__name__, state.name), ""),
        ]
        for state in kind
    ]
    steps = [
        [f"`{state}`", f"`{step}`", f"`{after}`", "yes" if step in facts else ""]
        for (state, step), after in transitions.items()
    ]
    return [
        f"## {prefix.strip('_').capitalize() or 'Instruction'}",
        "\n".join(["```mermaid", "stateDiagram-v2", *edges, "```"]),
        table_of(("State", "Final", "Meaning"), states),
        table_of(("From", "Step", "To", "Fact"), steps),
    ]


def limit_page() -> str:
    """Every constant of limits.py with its comment, then how they are related."""
    comments = comments_of(limits)
    rows, relations = [], []
    for node in ast.parse(inspect.getsource(limits)).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if name.isupper():
                    rows.append(
                        [f"`{name}`", shown(getattr(limits, name)), comments.get(("", name), "")]
                    )
            case ast.Assert(test=test, msg=message):
                why = ast.literal_eval(message) if message is not None else ""
                relations.append([f"`{ast.unparse(test)}`", why])
            case _:
                pass
    return page(
        "Limits",
        "src/contraflow/engine/limits.py",
        "A name ends in its unit: `_MS` milliseconds, `_S` seconds, `_MAX` the largest allowed.",
        table_of(("Limit", "Value", "Why"), rows),
        "## Relations",
        "Asserted whenever contraflow starts.",
        table_of(("Always true", "Why"), relations),
    )


def shown(value: object) -> str:
    match value:
        case bool() | str():
            return f"`{value}`"
        case int():
            return f"{value:,}"
        case tuple() | list():
            return "; ".join(shown(each) for each in value)
        case _:
            return f"`{value}`"


def comments_of(module: ModuleType) -> dict[tuple[str, str], str]:
    """The comment beside each assigned name, else the one above it, by (class, name)."""
    source = inspect.getsource(module)
    beside: dict[int, str] = {}
    above: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            text = token.string.lstrip("# ")
            alone = not token.line[: token.start[1]].strip()
            (above if alone else beside)[token.start[0]] = text
    found = {}
    for owner, node in assignments_in(ast.parse(source)):
        name = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
        lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        said = [beside[line] for line in lines if line in beside]
        first = node.lineno
        while first - 1 in above:
            first -= 1
        said = said or [above[line] for line in range(first, node.lineno)]
        found[owner, name] = " ".join(said)
    return found


def assignments_in(tree: ast.Module) -> Iterator[tuple[str, ast.Assign | ast.AnnAssign]]:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            yield "", node
        elif isinstance(node, ast.ClassDef):
            yield from ((node.name, n) for n in node.body if isinstance(n, ast.Assign))


def page(title: str, source: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", NOTE.format(source=source), *parts]) + "\n"


def api_page() -> str:
    return page("HTTP API", "src/contraflow/api/table.py", *api_parts())


PAGES_BY_NAME: Mapping[str, Callable[[], str]] = {
    "api.md": api_page,
    "errors.md": error_page,
    "limits.md": limit_page,
    "states.md": state_page,
}


def main() -> None:
    stale = []
    for name, write in PAGES_BY_NAME.items():
        path, text = PAGES / name, write()
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    if stale:
        sys.exit(f"stale: {', '.join(stale)}; run make reference")


if __name__ == "__main__":
    main()
