"""Many callers at once on one account, next to the same ones one after another, on DynamoDB Local.

The threads share this machine's processors with the engine, so only the ratio matters.
"""

import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from threading import Barrier
from unittest.mock import patch

from local.aws import client
from local.engines import CREDENTIALS, dynamodb_local
from shared.aws.wiring import ANSWER_WITHIN_S
from shared.ledger.errors import BusyError
from shared.store.table import Table
from tests.driver import Driver
from tests.table import create_table

CALLERS, ROUNDS, WARM_UPS, DAYS, PATIENCE_S = 64, 3, 10, 12, 30
TODAY = date(2026, 1, 15)


@dataclass(frozen=True, slots=True)
class Crowd:
    """Medians, in seconds, and how many were refused in all."""

    one_by_one_s: float
    at_once_s: float
    refused: int

    @property
    def ratio(self) -> float:
        return self.at_once_s / self.one_by_one_s


def measure() -> Crowd:
    patient = patch("shared.store.sending.READ_TIMEOUT_S", PATIENCE_S)  # a slow answer is no lost one here
    with dynamodb_local() as endpoint_url, patch.dict(os.environ, CREDENTIALS), patient:
        driver = _usual(endpoint_url)
        for number in range(WARM_UPS):  # Java compiles the engine's code as it runs
            one_by_one(driver, f"warm {number}")
        at_once(driver, "warm")  # each caller has its connection from now on, as each Lambda function has
        rounds = [
            (one_by_one(driver, f"alone {number}"), *at_once(driver, f"all {number}")) for number in range(ROUNDS)
        ]
    alone, together, refused = zip(*rounds, strict=True)
    return Crowd(statistics.median(alone), statistics.median(together), sum(refused))


def one_by_one(driver: Driver, run: str) -> float:
    started = time.perf_counter()
    for number in range(CALLERS):
        driver.spend(1, f"{run}-{number}")
    return time.perf_counter() - started


def at_once(driver: Driver, run: str) -> tuple[float, int]:
    """Seconds until the last has its answer, and how many are refused because the ledger is busy."""
    start = Barrier(CALLERS)

    def spend(number: int) -> bool:
        start.wait()
        try:
            driver.spend(1, f"{run}-{number}", by=time.monotonic() + ANSWER_WITHIN_S)
        except BusyError:
            return False
        return True

    started = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as threads:
        done = list(threads.map(spend, range(CALLERS)))
    return time.perf_counter() - started, done.count(False)


def _usual(endpoint_url: str) -> Driver:
    """An account with 24 lots."""
    create_table(client("dynamodb", endpoint_url), "crowd")
    driver = Driver(Table("crowd", shards=1, region=CREDENTIALS["AWS_REGION"], endpoint_url=endpoint_url))
    driver.at(TODAY - timedelta(DAYS)).open()
    driver.credit_often(
        [(TODAY - timedelta(day), 100, paid) for day in range(DAYS - 1, -1, -1) for paid in (False, True)]
    )
    return driver.at(TODAY)


if __name__ == "__main__":
    found = measure()
    print(f"{found.ratio:.2f} x  ({found.at_once_s:.2f} s / {found.one_by_one_s:.2f} s), {found.refused} refused")
