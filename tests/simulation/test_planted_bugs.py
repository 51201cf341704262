"""The list of planted bugs fits the source; `make mutants` plants them."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = ROOT / "scripts"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


planted = script("planted_bugs")


@pytest.mark.parametrize("bug", planted.BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_fits_the_source_and_changes_it(bug: object) -> None:
    text: dict[str, str] = {}
    for patch in bug.patches:  # type: ignore[attr-defined]
        source = ROOT / "src" / "contraflow" / patch.path
        before = text.get(patch.path) or source.read_text(encoding="utf-8")
        assert before.count(patch.old) == 1, patch.old
        text[patch.path] = before.replace(patch.old, patch.new)
        assert text[patch.path] != before
    for path, after in text.items():
        if path.endswith(".py"):
            compile(after, path, "exec")


def test_there_are_enough_of_them_and_each_has_its_own_name() -> None:
    names = [bug.name for bug in planted.BUGS]

    assert len(names) >= 30
    assert len(set(names)) == len(names)


@pytest.mark.slow
def test_a_bug_is_found_by_its_invariant() -> None:
    told = subprocess.run(
        [
            sys.executable,
            str(SCRIPTS / "find_planted_bugs.py"),
            *("--only", "without its entry", "--histories", "20", "--jobs", "1"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.returncode == 0, told.stderr
    assert '"planted": 1, "found": 1' in told.stdout
