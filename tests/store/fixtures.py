"""What the store suite asks for, over whatever engine its folder provides as `store`, `sandbox` and `admin`."""

from collections.abc import Iterator
from typing import Any

import pytest

from shared.sandbox.payments import Behaviour, SandboxGateway
from shared.sandbox.table import SandboxTable
from shared.store.table import Table
from tests.driver import Driver, completed_purchases, problems_in
from tests.faults import FaultInjector
from tests.table import SANDBOX, create_table

SHARDS = 4


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
    assert problems_in(table) == []


@pytest.fixture
def faults(table: Table) -> Iterator[FaultInjector]:
    faults = FaultInjector(client_of(table))
    yield faults
    faults.detach()


@pytest.fixture
def driver(table: Table) -> Driver:
    return Driver(table)


class Provider:
    """The sandbox's payment provider, and what it charged."""

    def __init__(self, table: SandboxTable) -> None:
        self._table = table

    def that(self, behaviour: Behaviour) -> SandboxGateway:
        return SandboxGateway(self._table, behaviour)

    @property
    def charges(self) -> list[str]:
        """The purchases that were charged, by id."""
        rows = self._table.charge.scan(consistent_read=True)
        return sorted(row.pk.rpartition("-")[0] for row in rows if row.state == "charged")


@pytest.fixture
def provider(table: Table, sandbox: SandboxTable, admin: Any) -> Iterator[Provider]:
    """However a purchase went, in the end charges and paid-out purchases match one to one."""
    name = sandbox._meta.table_name  # type: ignore[attr-defined] # of pynamodb's, which has no types
    create_table(admin, name, SANDBOX)
    provider = Provider(sandbox)
    yield provider
    charges = provider.charges
    admin.delete_table(TableName=name)
    assert charges == sorted(completed_purchases(table))


def client_of(table: Table) -> Any:
    """The botocore client under a store, made now if it has not been."""
    return table._connection.connection.client
