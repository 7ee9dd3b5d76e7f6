"""Private names of pynamodb are used in one module, which says what each is needed for."""

import ast
from pathlib import Path

import pynamodb

ROOT = Path(__file__).parents[2]
ADAPTER = ROOT / "shared" / "store" / "pynamodb_private.py"
OURS = {"_client"}
"""Of the ledger's own classes, as well as of pynamodb's."""


def attributes(path: Path, *, own: bool) -> set[str]:
    """The private attributes that a module uses: of its own objects (``self._name``), or of others."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            is_own = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
            if is_own is own:
                found.add(node.attr)
    return found


def test_private_names_of_pynamodb_are_used_in_one_module_that_explains_each():
    private = set().union(*(attributes(path, own=True) for path in Path(pynamodb.__file__).parent.rglob("*.py")))
    modules = [path for folder in ("functions", "shared", "tests") for path in (ROOT / folder).rglob("*.py")]
    modules += (ROOT / "local").glob("*.py")
    used = {path: attributes(path, own=False) & private - OURS for path in modules}
    assert {path for path, names in used.items() if names} == {ADAPTER}
    explained = ast.get_docstring(ast.parse(ADAPTER.read_text()))
    assert all(f".{name}``" in explained for name in used[ADAPTER])
