"""The core is pure: importing it loads the standard library and itself, and nothing that reaches outside."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

IMPORT_ALL = """
import sys
before = set(sys.modules)
import importlib, json, pkgutil
import shared.ledger
names = [module.name for module in pkgutil.iter_modules(shared.ledger.__path__, "shared.ledger.")]
for name in names:
    importlib.import_module(name)
print(json.dumps({"core": names, "loaded": sorted(set(sys.modules) - before)}))
"""


def imported() -> dict[str, list[str]]:
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-c", IMPORT_ALL], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(ran.stdout)


def test_core_imports_the_standard_library_and_itself_only():
    found = imported()
    assert {"shared.ledger.commands", "shared.ledger.audit"} <= set(found["core"])
    outside = [name for name in found["loaded"] if name.partition(".")[0] not in sys.stdlib_module_names]
    assert set(outside) == {"shared", "shared.ledger", *found["core"]}


def test_core_imports_no_logger_and_no_socket():
    assert not {"logging", "socket", "ssl", "urllib.request"} & set(imported()["loaded"])
