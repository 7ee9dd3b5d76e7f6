"""What tests of the services and the store ask for, over whatever `engine` their folder provides: an endpoint."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from local.engines import CREDENTIALS
from shared.sandbox.payments import Behaviour, SandboxProvider
from shared.sandbox.table import SandboxTable
from shared.store.table import Table
from tests.core.builders import noon
from tests.driver import Driver, SetClock
from tests.faults import FaultInjector
from tests.invariants import Contents, completed_purchases, problems_in
from tests.table import SANDBOX, create_table, empty_table

SHARDS = 4
REGION = CREDENTIALS["AWS_REGION"]
PATIENCE_S = 30
"""A busy machine is not a lost answer: those are lost on purpose here."""


@pytest.fixture(scope="session")
def credentials() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def admin(engine: str, credentials: None) -> Any:  # noqa: ARG001
    return boto3.client("dynamodb", region_name=REGION, endpoint_url=engine)


@pytest.fixture(scope="session")
def store(engine: str, credentials: None) -> Table:  # noqa: ARG001
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.store.sending.READ_TIMEOUT_S", PATIENCE_S)
        return Table("ledger", shards=SHARDS, region=REGION, endpoint_url=engine)


@pytest.fixture(scope="session")
def sandbox(engine: str, credentials: None) -> SandboxTable:  # noqa: ARG001
    return SandboxTable("sandbox", region=REGION, endpoint_url=engine)


@pytest.fixture
def table(store: Table, admin: Any) -> Iterator[Table]:
    """The ledger's table, empty."""
    create_table(admin, store.name)
    yield store
    admin.delete_table(TableName=store.name)


@pytest.fixture(autouse=True)
def audited(table: Table) -> Iterator[None]:
    """After every test, whatever it did, every invariant holds for every account."""
    yield
    assert problems_in(Contents(table)) == []


@pytest.fixture
def faults(table: Table) -> Iterator[FaultInjector]:
    faults = FaultInjector(table.client)
    yield faults
    faults.detach()


@pytest.fixture
def clock() -> SetClock:
    return SetClock(noon("2026-01-15"))


@pytest.fixture
def driver(table: Table, clock: SetClock) -> Driver:
    return Driver(table, clock=clock)


class Provider:
    """The sandbox's payment provider, and what it charged."""

    def __init__(self, table: SandboxTable, clock: SetClock) -> None:
        self._table = table
        self._clock = clock

    def that(self, behaviour: Behaviour) -> SandboxProvider:
        return SandboxProvider(self._table, self._clock, behaviour)

    def goes_back(self, charge_id: str, cents: int, dispute: str | None) -> None:
        """So much of a charge is back with the buyer."""
        row = self._table.charge
        row(pk=charge_id).update([row.returned_cents.set(cents), row.dispute.set(dispute)])

    @property
    def charges(self) -> list[str]:
        """The purchases that were charged, by id."""
        rows = self._table.charge.scan(consistent_read=True)
        return sorted(row.pk.rpartition("-")[0] for row in rows if row.state == "charged")


@pytest.fixture
def provider(table: Table, sandbox: SandboxTable, admin: Any, clock: SetClock) -> Iterator[Provider]:
    """However a purchase went, in the end charges and paid-out purchases match one to one."""
    name = sandbox.name
    create_table(admin, name, SANDBOX, exist_ok=True)
    provider = Provider(sandbox, clock)
    yield provider
    charges = provider.charges
    empty_table(admin, name, SANDBOX)
    assert charges == sorted(completed_purchases(Contents(table)))
