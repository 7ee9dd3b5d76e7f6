"""`make bench`: what the ledger costs, as ratios and counts, each next to its budget.

Times are CPU times, each next to that of the bare AWS calls on the same machine in the same minute, so that a busy or
slow machine changes little. The package is measured as it ships, with no other libraries than those of Lambda's
runtime.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from local import bench_crowd
from local.aws import client
from local.bench_due import stories
from local.deploy import DeployError, sam, step
from local.engines import CREDENTIALS, EngineError, ministack
from local.ministack import ROOT, clean_environment
from local.spare import any_stack
from local.tokens import client_token
from tests.stack.marketplace import Marketplace
from tests.table import create_table

BUILT = ROOT / ".aws-sam" / "build"
RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
"""What Lambda's Python runtime has. botocore would use pyOpenSSL and awscrt as well if it found them, as in .venv."""
HANDLERS = {
    "SpendFunction": "spend",
    "RefundFunction": "refund",
    "PurchaseFunction": "purchase",
    "AccountsFunction": "accounts",
    "MonthlyGrantFunction": "monthly_grant",
    "ExpirySweepFunction": "expiry_sweep",
}
BARE = "import boto3; boto3.client('dynamodb')"
IMPORTS = 15
CLIENTS, REQUESTS = 8, 25
RATIO, MEGABYTES = 1.5, 25
CROWD_RATIO = 3
AUDIT_SECONDS, AUDIT_ENTRIES = 600, 10_000_000  # of the 900 s of its function, for as many as an account can have
WIDTH = 100
CAPACITY = {"spend": (2, 5, 1), "balance": (1, 0, 1), "history, a page of 50": (2, 0, math.inf), "refund": (3, 7, 2)}
"""Budgets: calls, write units, read units."""

# On demand, us-east-1, arm64, in US dollars; read from AWS's price pages in 2026. Free tiers are left out.
WRITE_UNITS, READ_UNITS, API_REQUESTS, INVOCATIONS = 0.625, 0.125, 1.00, 0.20  # a million
GIGABYTE_SECONDS = 13.3334  # a million
MEMORY_GB = 1
A_CALL_MS = 5  # of a DynamoDB call from Lambda: "single-digit milliseconds"


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    measured: str
    budget: str = ""
    within: bool | None = None


def ratio(what: str, found: float, detail: str) -> Row:
    return Row(what, f"{found:.2f} x  ({detail})", f"{RATIO} x", found <= RATIO)


# --- The package ----------------------------------------------------------------------------------------------


def sizes() -> Row:
    largest = max(sum(file.stat().st_size for file in (BUILT / name).rglob("*") if file.is_file()) for name in HANDLERS)
    megabytes = largest / 1024**2
    return Row("largest package, unzipped", f"{megabytes:.1f} MB", f"{MEGABYTES} MB", megabytes <= MEGABYTES)


@contextmanager
def lambda_runtime() -> Iterator[Path]:
    """A folder with the libraries of Lambda's runtime and no others."""
    with tempfile.TemporaryDirectory(prefix="connects-runtime-") as folder:
        for name in RUNTIME:
            found = find_spec(name)
            origin = Path(found.origin) if found and found.origin else Path()
            library = origin.parent if origin.name == "__init__.py" else origin
            (Path(folder) / library.name).symlink_to(library)
        yield Path(folder)


def function_environment(stack: dict[str, Any]) -> dict[str, str]:
    """The deployed spend function's environment, with the stage `production`, so that the clock is the system's."""
    found = client("cloudformation", stack["endpoint_url"]).describe_stack_resource(
        StackName=stack["stack_name"], LogicalResourceId="SpendFunction"
    )["StackResourceDetail"]
    described = client("lambda", stack["endpoint_url"]).get_function_configuration(
        FunctionName=found["PhysicalResourceId"]
    )
    given: dict[str, str] = described["Environment"]["Variables"]
    mine = {"STAGE": "production", "AWS_LAMBDA_FUNCTION_NAME": "bench"}
    return clean_environment() | CREDENTIALS | given | mine


# --- Imports --------------------------------------------------------------------------------------------------


def import_seconds(code: str, paths: list[Path], environ: dict[str, str]) -> float:
    program = (
        f"import sys; sys.path[:0] = {[str(path) for path in paths]!r}\n"
        f"import time; started = time.process_time()\n{code}\nprint(time.process_time() - started)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], env=environ, cwd="/", capture_output=True, text=True, check=True
    )
    return float(done.stdout.splitlines()[-1])


def imports(runtime: Path, environ: dict[str, str]) -> Iterator[Row]:
    """Each in fresh processes, in pairs with the bare client: the machine is faster at one moment than at the next."""
    for name, handler in HANDLERS.items():
        code, paths = f"import functions.{handler}.app", [BUILT / name, runtime]
        import_seconds(code, paths, environ)  # compiles it
        pairs = [
            (import_seconds(code, paths, environ), import_seconds(BARE, [runtime], environ)) for _ in range(IMPORTS)
        ]
        yield ratio(
            f"import {handler} / boto3 + client",
            statistics.median(ours / bare for ours, bare in pairs),
            " / ".join(f"{statistics.median(seconds) * 1000:.0f} ms" for seconds in zip(*pairs, strict=True)),
        )


# --- Warm handlers --------------------------------------------------------------------------------------------


def warm(runtime: Path, environ: dict[str, str]) -> dict[str, dict[str, float]]:
    with ministack() as endpoint_url:
        for table in ("ledger", "twin"):
            create_table(client("dynamodb", endpoint_url), table)
        done = subprocess.run(
            [
                *(sys.executable, "-S", ROOT / "local" / "bench_warm.py"),
                *(endpoint_url, "ledger", "twin", BUILT / "SpendFunction", runtime),
            ],
            env=environ | {"AWS_ENDPOINT_URL": endpoint_url, "TABLE_NAME": "ledger"},
            cwd="/",
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    measured: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return measured


def warm_rows(measured: dict[str, dict[str, float]]) -> Iterator[Row]:
    for name, found in measured.items():
        detail = f"{found['cpu_ms']:.2f} ms / {found['bare_cpu_ms']:.2f} ms"
        yield ratio(f"{name}: CPU / bare calls", found["ratio"], detail)
    for name, found in measured.items():
        calls, wcu, rcu = CAPACITY[name]
        within = found["calls"] <= calls and found["wcu"] <= wcu and found["rcu"] <= rcu
        yield Row(
            f"{name}: calls / WCU / RCU",
            f"{found['calls']:g} / {found['wcu']:g} / {found['rcu']:g}",
            f"{calls} / {wcu} / {rcu if rcu < math.inf else '-'}",
            within,
        )


def audit_row(found: dict[str, float]) -> Row:
    us, most = found["us_an_entry"], AUDIT_SECONDS / AUDIT_ENTRIES * 1e6
    return Row(f"audit: CPU an entry, of {found['entries']:.0f}", f"{us:.0f} us", f"{most:.0f} us", us <= most)


def cost_rows(spend: dict[str, float]) -> Iterator[Row]:
    """The cost of a million spends."""
    seconds = (spend["cpu_ms"] + spend["calls"] * A_CALL_MS) / 1000
    parts = {
        f"DynamoDB, {spend['wcu']:g} WRU + {spend['rcu']:g} RRU": spend["wcu"] * WRITE_UNITS
        + spend["rcu"] * READ_UNITS,
        "API Gateway, HTTP API": API_REQUESTS,
        f"Lambda, {seconds * 1000:.0f} ms at {MEMORY_GB} GB": INVOCATIONS + seconds * MEMORY_GB * GIGABYTE_SECONDS,
    }
    for name, dollars in parts.items():
        yield Row(f"a million spends: {name}", f"${dollars:.2f}")
    yield Row("a million spends: together", f"${sum(parts.values()):.2f}")


# --- Many at once on one account --------------------------------------------------------------------------------


def crowd() -> Row:
    found = bench_crowd.measure()
    return Row(
        f"{bench_crowd.CALLERS} spends at once on one account / one after another",
        f"{found.ratio:.2f} x  ({found.at_once_s:.2f} s / {found.one_by_one_s:.2f} s), {found.refused} refused",
        f"{CROWD_RATIO} x, 0",
        found.ratio <= CROWD_RATIO and not found.refused,
    )


# --- Over HTTP ------------------------------------------------------------------------------------------------


def timed(call: Callable[[], httpx.Response]) -> float:
    started = time.perf_counter()
    answer = call()
    took = time.perf_counter() - started
    answer.raise_for_status()
    return took * 1000


def latencies(stack: dict[str, Any]) -> list[Row]:
    """Through the whole local stack: its gateway, authorizer and Lambda share this machine with the clients."""
    with httpx.Client(base_url=stack["api_url"], timeout=30) as http:
        market = Marketplace(stack, http, {name: client_token(stack, name) for name in ("service", "staff")})
        accounts = [market.open() for _ in range(CLIENTS)]

        def spends(account: str, run: str) -> list[float]:
            return [timed(partial(market.spend, account, 1, f"{run}-{number}")) for number in range(REQUESTS)]

        with ThreadPoolExecutor(CLIENTS) as threads:
            list(threads.map(lambda account: market.spend(account, 1, "warm"), accounts))
            alone = spends(accounts[0], "alone")
            for account in accounts:
                market.buy(account, REQUESTS, "more")
            started = time.perf_counter()
            together = sorted(took for each in threads.map(lambda one: spends(one, "all"), accounts) for took in each)
            rate = len(together) / (time.perf_counter() - started)
        audits = [timed(partial(market.staff, "GET", f"/accounts/{account}/audit")) for account in accounts]
    return [
        Row("spend over local HTTP, 1 client", percentiles(alone)),
        Row(f"spend over local HTTP, {CLIENTS} clients", f"{percentiles(together)}, {rate:.0f} a second"),
        Row(f"audit over local HTTP, {REQUESTS + 5} entries", percentiles(audits)),
    ]


def percentiles(took: list[float]) -> str:
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    return f"p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms"


def show(rows: list[Row]) -> None:
    table = Table(title=f"Connects Ledger on Python {sys.version.split()[0]}, {os.cpu_count()} processors")
    for heading in ("what", "measured", "budget", ""):
        table.add_column(heading)
    marks = {None: "", True: "[green]within[/]", False: "[bold red]over[/]"}
    for row in rows:
        table.add_row(row.what, row.measured, row.budget, marks[row.within])
    Console(width=max(Console().width, WIDTH)).print(table)


def main() -> None:
    with any_stack() as stack, lambda_runtime() as runtime:
        with step("Building the package anew"):
            sam("build", stack["endpoint_url"])
        environ = function_environment(stack)
        rows = [sizes()]
        with step("Importing each handler"):
            rows += imports(runtime, environ)
        with step("Running warm handlers"):
            measured = warm(runtime, environ)
        audited = measured.pop("audit")
        rows += [*warm_rows(measured), audit_row(audited), *cost_rows(measured["spend"])]
        with step("Spending at once on one account"):
            rows.append(crowd())
        with step("Simulating a day on which ten million accounts fall due"):
            rows += [Row(*told) for told in stories()]
        with step("Spending over HTTP"):
            rows += latencies(stack)
    show(rows)


if __name__ == "__main__":
    try:
        main()
    except (DeployError, EngineError) as error:
        raise SystemExit(str(error)) from None
