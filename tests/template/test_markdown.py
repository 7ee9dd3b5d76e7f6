"""The READMEs name what there is: links, paths and names that exist, and every parameter with its default."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parameters import PARAMETERS

ROOT = Path(__file__).parents[2]
FILES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md")),
    *(file for top in (".github", "functions", "shared", "tests") for file in ROOT.glob(f"{top}/**/*.md")),
    *ROOT.glob("local/*.md"),  # and not those of the packages in local/node_modules
]
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
QUOTED = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(r"(shared|functions|tests|local|\.github|\.ci)/[\w./<>-]*|template\.yaml|samconfig\.toml|Makefile")
MODULE = re.compile(r"\w+\.py")
NAME_IN_MODULE = re.compile(r"`([A-Za-z_.]+)`(?: \([^)`]*\))? in `([^`\n]+\.py)`")
PLACEHOLDER = re.compile(r"<[^>]*>")

md = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))


def prose(file: Path) -> str:
    return FENCED.sub("", file.read_text())


def anchors(file: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", prose(file), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(file: Path) -> Iterator[str]:
    for link in LINK.findall(prose(file)):
        if ":" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (file.parent / path).resolve() if path else file
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def exists(file: Path, path: str) -> bool:
    """From the repository's root, or as the bare name of a module in the README's own folder."""
    if MODULE.fullmatch(path):
        return any(file.parent.rglob(path))
    return any(ROOT.glob(PLACEHOLDER.sub("*", path).rstrip("/")))


@md
def test_every_link_leads_to_a_file_and_to_a_heading_that_it_has(file):
    assert not list(broken_links(file))


@md
def test_every_path_in_the_text_exists(file):
    paths = [path for path in QUOTED.findall(prose(file)) if PATH.fullmatch(path) or MODULE.fullmatch(path)]
    assert not [path for path in paths if not exists(file, path)]


@md
def test_every_name_that_is_said_to_be_in_a_module_is_in_it(file):
    found = [(name.rpartition(".")[2], path) for name, path in NAME_IN_MODULE.findall(prose(file))]
    assert not [(name, path) for name, path in found if not re.search(rf"\b{name}\b", (ROOT / path).read_text())]


def test_every_readme_is_looked_at():
    folders = ("", ".github", "functions", "local", "shared", "shared/events", "shared/store", "tests")
    assert {ROOT / folder for folder in folders} <= {file.parent for file in FILES}


def parameters_described() -> Iterator[tuple[str, str]]:
    """Each parameter of the table, with the default that stands beside it."""
    text = (ROOT / "functions" / "README.md").read_text().partition("\n## Parameters\n")[2].partition("\n## ")[0]
    for names, defaults in re.findall(r"^\| (`[^|]*) \| ([^|]+) \|", text, re.MULTILINE):
        several = QUOTED.findall(names)
        each = defaults.replace("`", "").split(", ")
        yield from zip(several, each if len(each) == len(several) else each * len(several), strict=True)


def test_every_parameter_of_the_template_is_described_with_its_default():
    defaults = {name: str(parameter["Default"]) or "none" for name, parameter in PARAMETERS.items()}
    in_short = {"DueSchedule": "5 minutes", "JobPrices": "small/simple=2 ... large/complex=16"}
    assert dict(parameters_described()) == defaults | in_short
