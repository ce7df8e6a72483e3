"""The docs say what is so: links resolve, the tree is the tree, and the README's commands are commands."""

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\(([^)\s]+)\)")
TREE_LINE = re.compile(r"(?P<indent> *)(?P<name>\S+) {2,}(?P<meaning>\S.*)")
MACHINE_PATH = re.compile(r"(?<![\w.}~-])/(?:work|root|Users|mnt|home/(?!(?:ubuntu|someone|tom)\b))[\w.-]*/")
"""Absolute paths of one machine. The user of the cluster's image is ubuntu; someone and tom are users in tests."""
ENTRIES = [
    ["sweeps/run.py"],
    ["sweeps/export.py"],
    ["-m", "tinystories.data.make_dataset"],
    ["-m", "tinystories.train_model"],
    ["-m", "tinystories.predict_model"],
    ["-m", "tinystories.visualization.visualize"],
    ["-m", "sweeps.spec"],
]


@cache
def project_files() -> list[str]:
    """All files of the project, committed or about to be, relative to its root."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so what belongs to the project is not known")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.splitlines() if (ROOT / name).is_file()]


def pages() -> list[str]:
    return sorted(str(page.relative_to(ROOT)) for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(name: str) -> set[str]:
    """The headings of a page as GitHub turns them into anchors."""
    headings = re.findall(r"^#+ (.+)$", read(name), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def blocks(text: str, language: str) -> list[str]:
    """Fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def tree() -> dict[str, str]:
    """The files that docs/architecture.md names, and what it says of each."""
    found: dict[str, str] = {}
    folders: list[str] = []
    (block,) = blocks(read("docs/architecture.md"), "text")
    for line in block.splitlines():
        parts = TREE_LINE.fullmatch(line)
        assert parts, f"no name and meaning: {line!r}"
        folders = folders[: len(parts["indent"]) // 2]
        path = "".join(folders) + parts["name"]
        if parts["name"].endswith("/"):
            folders.append(parts["name"])
        assert path not in found, f"{path} is named twice"
        found[path] = parts["meaning"]
    return found


def commands() -> list[list[str]]:
    """The commands of the README, as words."""
    lines = "\n".join(blocks(read("README.md"), "console")).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@pytest.mark.parametrize("page", pages())
def test_relative_links_resolve(page: str) -> None:
    targets = [link for link in LINK.findall(read(page)) if not re.match(r"[a-z]+:", link)]
    for target in targets:
        path, _, anchor = target.partition("#")
        file = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert file.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(str(file.relative_to(ROOT))), f"{page}: {target}"


def test_every_file_that_the_architecture_names_exists() -> None:
    assert [path for path in tree() if not (ROOT / path).exists()] == []


def test_every_module_and_page_is_in_the_architecture() -> None:
    shown = ("tinystories/", "sweeps/", "benchmarks/", "docs/")
    wanted = [
        name
        for name in project_files()
        if name.startswith(shown) and name.endswith((".py", ".yaml", ".md")) and not name.endswith("__init__.py")
    ]

    assert sorted(set(wanted) - set(tree())) == []


def test_the_readme_is_one_screen() -> None:
    lines = read("README.md").splitlines()

    assert len(lines) <= 90
    assert [line for line in lines if len(line) > 100] == []


def test_the_readme_leads_to_every_page() -> None:
    linked = set(LINK.findall(read("README.md")))

    assert {page for page in pages() if page != "README.md"} - linked == set()


def test_every_make_target_of_the_readme_exists() -> None:
    listed = subprocess.run(["make", "--silent"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = {line.split()[0] for line in listed.splitlines()}
    named = {words[1] for words in commands() if words[0] == "make"}

    assert {"sweep", "quick"} <= named <= targets


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry[-1])
def test_every_option_that_the_readme_gives_a_command_is_in_its_help(entry: list[str]) -> None:
    given = [words for words in commands() if words[1 : len(entry) + 1] == entry and words[0] == "python"]
    printed = subprocess.run([sys.executable, *entry, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    options = {word for words in given for word in words if word.startswith("--")}

    assert {option for option in options if not re.search(rf"{option}\b", printed.stdout)} == set()


def test_every_python_command_of_the_readme_is_one_of_the_entries() -> None:
    given = [words[1:3] if words[1] == "-m" else words[1:2] for words in commands() if words[0] == "python"]

    assert given
    assert [entry for entry in given if entry not in ENTRIES] == []


def test_the_version_is_the_same_everywhere() -> None:
    (version,) = re.findall(r'^version = "(.+)"$', read("pyproject.toml"), flags=re.MULTILINE)

    assert f"\nversion: {version}\n" in read("CITATION.cff")
    assert re.search(r"^## (\S+)", read("CHANGELOG.md"), flags=re.MULTILINE)[1] == version  # type: ignore[index]


def test_no_file_names_a_path_of_one_machine() -> None:
    found = []
    for name in project_files():
        try:
            text = read(name)
        except UnicodeDecodeError:  # a picture or an archive
            continue
        found += [f"{name}: {line.strip()}" for line in text.splitlines() if MACHINE_PATH.search(line)]

    assert found == []
