"""The store suite runs here whole: a module added there and forgotten here would prove nothing about the engines."""

from pathlib import Path

HERE = Path(__file__).parent


def modules(folder):
    return {module.name for module in folder.glob("test_*.py")}


def test_every_module_of_the_store_suite_runs_on_the_engines_too():
    assert modules(HERE.parent / "store") <= modules(HERE)
