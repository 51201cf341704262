"""The style rules a machine can keep. A rule it cannot keep belongs in STYLE.md."""

import ast
import functools
import re
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "contraflow"
MODULES = sorted(SOURCE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
PURE = ("domain", "ledger", "evidence", "risk", "wire", "channels")
CORE = ("domain", "engine", "ledger", "evidence", "risk", "store")
LIFECYCLE = SOURCE / "domain" / "lifecycle.py"

# Folders of tests that mirror no package.
SUITES = {"contract", "graveyard", "docs", "scripts", "bench", "crucible"}

LINES_MAX = 400
LINES_MEDIAN_MAX = 120
FUNCTION_LINES_MAX = 50

VAGUE = re.compile(
    r"(^|_)(util|utils|helper|helpers|common|misc|base|core|manager|service|processor|handler|"
    r"data|info|impl|abstract|lib|tools|shared)(_|$)"
)
SQL = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|CREATE|DROP|ALTER|PRAGMA|SAVEPOINT|WITH)\s+\S"
    r"|\s*(BEGIN|COMMIT|ROLLBACK)\b"
)
SQL_THAT_FORGETS = re.compile(
    r"(UPDATE|DELETE\s+FROM|REPLACE\s+INTO|DROP\s+TABLE)\s+(entry|event|receipt)s?\b"
    r"|INSERT\s+OR\s+REPLACE|REPLACE\s+INTO",
    re.IGNORECASE,
)
VENDORS = {"adyen", "alipay", "paypal", "stripe", "wechat", "wxpay"}
SECRET = re.compile(r"(^|_)(secret|password|passphrase|private_key|api_key)(_|$)")
# Where a file says on whose machine it was made, or gives away a key.
GIVEAWAY = re.compile(r"(?<![\w.~-])/(work|root|home|Users)/|PRIVATE[ ]KEY-----")


@functools.cache
def text_of(module: Path) -> str:
    return module.read_text(encoding="utf-8")


@functools.cache
def tree_of(module: Path) -> ast.Module:
    return ast.parse(text_of(module))


def package_of(module: Path) -> str:
    return module.relative_to(SOURCE).parts[0]


def strings_in(tree: ast.Module) -> Iterator[ast.Constant]:
    """Every string that is not standing alone, as a docstring does."""
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node


@pytest.fixture(params=MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def module(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


# Shape


def test_a_module_is_not_too_long(module: Path) -> None:
    assert text_of(module).count("\n") <= LINES_MAX


def test_most_files_are_short() -> None:
    lengths = [text_of(module).count("\n") for module in MODULES]

    assert statistics.median(lengths) <= LINES_MEDIAN_MAX


def test_functions_fit_a_screen(module: Path) -> None:
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < FUNCTION_LINES_MAX, node.name


# Names and words


def test_a_module_is_named_after_what_it_does(module: Path) -> None:
    for part in module.relative_to(SOURCE).with_suffix("").parts:
        assert not VAGUE.search(part), part


def test_classes_are_nouns_without_vague_suffix(module: Path) -> None:
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.ClassDef):
            words = re.sub(r"(?<!^)(?=[A-Z])", "_", node.name).lower()
            assert not VAGUE.search(words), node.name


def test_a_module_starts_by_saying_what_it_is_for(module: Path) -> None:
    docstring = ast.get_docstring(tree_of(module))
    assert docstring, "no module docstring"
    first = docstring.split("\n", 1)[0]

    assert first[0].isupper() or first.startswith("contraflow")
    assert first[-1] in ".?:;", first


def test_nothing_is_left_over(module: Path) -> None:
    for banned in (r"\bFIXME\b", r"\bXXX\b", r"\bbreakpoint\("):
        assert not re.search(banned, text_of(module)), banned
    if package_of(module) != "cli":
        assert not re.search(r"(?<![.\w])print\(", text_of(module))


# Purity


def test_pure_code_is_not_async(module: Path) -> None:
    if package_of(module) in PURE:
        assert not any(isinstance(node, ast.AsyncFunctionDef) for node in ast.walk(tree_of(module)))


def test_domain_values_are_frozen(module: Path) -> None:
    if package_of(module) not in PURE:
        return
    for node in ast.walk(tree_of(module)):
        if not isinstance(node, ast.ClassDef):
            continue
        if any(ast.unparse(b) in ("Struct", "msgspec.Struct") for b in node.bases):
            assert options_of(node.keywords).get("frozen") is True, node.name
        for decorator in node.decorator_list:
            call = decorator.func if isinstance(decorator, ast.Call) else decorator
            if ast.unparse(call) in ("dataclass", "dataclasses.dataclass"):
                assert isinstance(decorator, ast.Call), node.name
                options = options_of(decorator.keywords)
                assert options.get("frozen") is True, node.name
                assert options.get("slots") is True, node.name


def options_of(keywords: list[ast.keyword]) -> dict[str | None, object]:
    return {k.arg: k.value.value for k in keywords if isinstance(k.value, ast.Constant)}


def test_pure_code_never_thaws_a_value(module: Path) -> None:
    if package_of(module) in PURE:
        for thaw in ("object.__setattr__", "force_setattr", "__dict__["):
            assert thaw not in text_of(module), thaw


# State and money


def test_python_is_refused_without_its_assertions() -> None:
    """An `if`, because an assertion would be removed by the flag that it looks for."""
    assert any("if not __debug__" in text_of(module) for module in MODULES)


def test_only_the_table_says_where_a_step_leads(module: Path) -> None:
    """A new state comes out of BIRTHS or TRANSITIONS, and is never written by hand."""
    if module == LIFECYCLE:
        return
    states = {
        alias.asname or alias.name
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.ImportFrom) and node.module == "contraflow.domain.lifecycle"
        for alias in node.names
        if alias.name.endswith("State")
    }
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.keyword) and node.arg == "state":
            assert not names_one_of(states, node.value), ast.unparse(node.value)
        if isinstance(node, ast.Tuple) and len(node.elts) == 2:
            arrow = names_one_of(states, node.elts[0]) and "Step." in ast.unparse(node.elts[1])
            assert not arrow, f"an arrow outside the table: {ast.unparse(node)}"


def names_one_of(enums: set[str], node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node.value) in enums


def test_only_the_store_speaks_sql(module: Path) -> None:
    """But for the sandbox's bank, whose book is its own and no part of ours."""
    if package_of(module) != "store" and module != SOURCE / "outside" / "bank_book.py":
        for string in strings_in(tree_of(module)):
            assert not SQL.match(str(string.value)), string.value


def test_only_one_function_commits(module: Path) -> None:
    """The simulation may: its store is the real one in a wrapper."""
    if package_of(module) in ("store", "simulation") or module == SOURCE / "engine" / "commit.py":
        return
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in ("commit", "save"), ast.unparse(node.func)


def test_the_store_only_appends_to_the_books() -> None:
    for path in sorted((SOURCE / "store").rglob("*.*")):
        if path.suffix in (".py", ".sql"):
            spoken = re.sub(r"(--|#).*", "", path.read_text(encoding="utf-8"))
            found = SQL_THAT_FORGETS.search(spoken)
            assert not found, f"{path.name}: {found}"


def test_the_core_names_no_channel(module: Path) -> None:
    if package_of(module) in CORE:
        files = {path.stem for path in (SOURCE / "channels").glob("[!_]*.py")}
        names = "|".join(sorted(files | VENDORS))
        assert not re.search(rf"(?<![a-z])({names})(?![a-z])", text_of(module), re.IGNORECASE)


def test_a_secret_in_the_settings_does_not_print(module: Path) -> None:
    if module != SOURCE / "settings.py":
        return
    for node in ast.walk(tree_of(module)):
        name = ast.unparse(node.target) if isinstance(node, ast.AnnAssign) else ""
        if isinstance(node, ast.AnnAssign) and SECRET.search(name) and not name.endswith("_file"):
            assert "Secret" in ast.unparse(node.annotation), ast.unparse(node)


# Tests


def test_every_decision_has_a_test() -> None:
    for path in (SOURCE / "domain" / "decide").glob("[!_]*.py"):
        expected = ROOT / "tests" / "domain" / f"test_decide_{path.stem}.py"
        assert expected.exists(), expected.name


def test_tests_mirror_the_package() -> None:
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    for path in TESTS:
        folder = path.relative_to(ROOT / "tests").parts[0]
        assert path.parent == ROOT / "tests" or folder in packages | SUITES, folder


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_test_is_not_named_by_a_number(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert not re.fullmatch(r"test_[a-z]+_?\d+", node.name), node.name


def test_nobody_mocks() -> None:
    banned = re.compile(
        r"\bunittest[.]mock\b|\bfrom unittest import mock\b|\bMagicMock\b|\bmocker\b"
    )
    for path in sorted({*MODULES, *(ROOT / "tests").rglob("*.py")} - {Path(__file__)}):
        assert not banned.search(text_of(path)), path.name


# The repository


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git work tree")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_gives_away_a_machine_or_a_key() -> None:
    for path in tracked_files():
        found = GIVEAWAY.search(path.read_text(encoding="utf-8", errors="replace"))
        assert not found, f"{path.relative_to(ROOT)}: {found}"


def test_locked_packages_come_with_hashes_and_without_addresses() -> None:
    for path in sorted(ROOT.glob("requirements*.lock")):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text
        assert text.count("==") <= text.count("--hash=sha256:")


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs" / "decisions").glob("0*.md")), ids=lambda path: path.stem
)
def test_a_recorded_decision_is_short_and_says_what_keeps_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.count("\n") <= 60
    for heading in ("Context", "Decision", "Consequences", "Alternatives", "Kept by"):
        assert f"\n## {heading}\n" in text, heading
