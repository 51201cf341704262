"""Every command that a document shows is run, and everything it points at is there."""

import os
import re
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "src" / "contraflow"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
HOWTO = ROOT / "docs" / "howto"
PLAYED = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "tutorial").glob("*.md")),
    *(HOWTO / name for name in ("webhooks.md", "refund-a-file.md")),
]
EXPLANATIONS = sorted((ROOT / "docs" / "explanation").glob("*.md"))
TOLD = [*PLAYED, ROOT / "ARCHITECTURE.md", ROOT / "docs" / "README.md", *EXPLANATIONS]

README_LINES_MAX = 120
EXPLANATION_LINES_MAX = 100
FILES_OF_THE_HOUR_MAX = 12

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ELSEWHERE = ("make ", "git clone ")  # What sets up the clone, and is no part of the session.
SEPARATOR = "@@ what the next command prints"
# Ids and hashes follow from the request, so they must be as shown; only times differ.
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z|(?<!\d)\d{13}(?!\d)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"`([\w./-]+\.(?:py|sql|md|toml))`")
FOLDER = re.compile(r"`([\w./-]+/)`")
MAKERS = re.compile(
    r"\b(?:co-?authored|copyright|(?:created|developed|maintained) by|LLMs?|AI|"
    r"language models?|assistants?|copilots?|chatbots?)\b|[\w.]+@[\w-]+\.\w",
    re.IGNORECASE,
)
NUMBERED = re.compile(r"^(#+ )?\d+\. ")
TWO_SENTENCES = re.compile(r"[a-z0-9)`*][.!?] +[A-Z*`\[]")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


documents = pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)


def blocks_of(document: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(document.read_text(encoding="utf-8"))


def prose_of(document: Path) -> str:
    return BLOCK.sub("", document.read_text(encoding="utf-8"))


# What is shown is what happens.


def commands_in(block: str) -> list[str]:
    """One a line, comments apart; a backslash goes on with the next."""
    lines = (line.split("   #")[0].strip() for line in block.replace("\\\n", " ").splitlines())
    return [line for line in lines if line and not line.startswith(("#", *ELSEWHERE))]


def play(document: Path, folder: Path) -> list[str]:
    """All commands of a document in one shell; what each console block prints."""
    (folder / ".venv").symlink_to(sys.prefix, target_is_directory=True)
    consoles = [commands_in(text) for sort, text in blocks_of(document) if sort == "console"]
    port = free_port()
    script = "trap 'kill $(jobs -p) 2> /dev/null' EXIT\n"
    for commands in consoles:
        script += f"echo '{SEPARATOR}'\n"
        for command in commands:
            here = command.replace("localhost:8080", f"localhost:{port}")
            script += f"{here}\nif [ $? -ne 0 ]; then echo 'it failed'; exit 1; fi\n"
    played = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={
            "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "LANG": "C.UTF-8",
            "PYTHONUTF8": "1",
            "CONTRAFLOW_DOOR": f"127.0.0.1:{port}",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stdout[-2_000:]
    said = played.stdout.replace(f"localhost:{port}", "localhost:8080")
    return said.split(f"{SEPARATOR}\n")[1:]


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


def lines_of(text: str) -> list[str]:
    return [TIME.sub("TIME", line).rstrip() for line in text.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("document", PLAYED, ids=name_of)
def test_a_session_prints_what_the_document_shows(document: Path, tmp_path: Path) -> None:
    """Every shown line, in its order; `...` stands for what is left out."""
    printed = iter(play(document, tmp_path))
    output: list[str] = []
    for sort, text in blocks_of(document):
        if sort == "console":
            output = lines_of(next(printed))
        elif sort == "text" and output:
            rest = iter(output)
            for line in lines_of(text):
                assert line == "..." or line in rest, f"never printed: {line}\n" + "\n".join(output)


@pytest.mark.parametrize("document", PLAYED, ids=name_of)
def test_a_console_can_be_pasted(document: Path) -> None:
    for sort, text in blocks_of(document):
        if sort == "console":
            assert not re.search(r"^[$>#] ", text, re.MULTILINE), text


# What is pointed at is there.


@documents
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in LINK.findall(prose_of(document)):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        if anchor:
            assert anchor in anchors_in(target), link


def anchors_in(document: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", prose_of(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("document", TOLD, ids=name_of)
def test_every_file_that_is_named_exists(document: Path) -> None:
    prose = prose_of(document)
    for name in FILE.findall(prose):
        found = [name, f"src/contraflow/{name}", str(document.parent.relative_to(ROOT) / name)]
        is_made_by_the_reader = "undo.toml" in name
        assert is_made_by_the_reader or any((ROOT / path).is_file() for path in found), name
    for name in FOLDER.findall(prose):
        assert (ROOT / name).is_dir() or (SOURCE / name).is_dir(), name


def test_the_index_lists_every_document() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / link).resolve() for link in LINK.findall(prose_of(index))}
    decisions = ROOT / "docs" / "decisions"
    listed |= {
        (decisions / link).resolve() for link in LINK.findall(prose_of(decisions / "README.md"))
    }

    assert set((ROOT / "docs").rglob("*.md")) - listed - {index} == set()


def test_one_refund_can_be_followed_through_the_files_of_an_hour() -> None:
    """The reading order of ARCHITECTURE.md, and the tutorial that walks along it."""
    row = re.compile(r"^\| \d+ \| `([\w/]+\.py)`", re.MULTILINE)
    hour = row.findall(prose_of(ROOT / "ARCHITECTURE.md"))
    head = re.compile(r"^### \d+\. `([\w/]+\.py)`", re.MULTILINE)
    walked = head.findall(prose_of(ROOT / "docs" / "tutorial" / "first-refund.md"))

    assert 0 < len(hour) <= FILES_OF_THE_HOUR_MAX
    assert walked == hour


# How it is written.


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    assert text.count("\n") <= README_LINES_MAX


@pytest.mark.parametrize("document", EXPLANATIONS, ids=name_of)
def test_an_explanation_is_short(document: Path) -> None:
    assert document.read_text(encoding="utf-8").count("\n") <= EXPLANATION_LINES_MAX


@pytest.mark.parametrize("document", TOLD, ids=name_of)
def test_a_line_has_one_sentence(document: Path) -> None:
    for line in prose_of(document).splitlines():
        if not line.startswith("|"):
            assert not TWO_SENTENCES.search(NUMBERED.sub("", line)), line


def test_decisions_are_numbered_without_a_gap() -> None:
    names = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("0*.md"))
    numbers = [int(name[:4]) for name in names]

    assert numbers[0] == 1
    assert all(later == earlier + 1 for earlier, later in pairwise(numbers))


@documents
def test_a_document_is_about_the_project_and_not_about_who_made_it(document: Path) -> None:
    found = MAKERS.search(document.read_text(encoding="utf-8"))

    assert not found, found
