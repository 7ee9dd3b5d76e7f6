"""What the store suite asks for, over whatever engine its folder provides as `store`."""

from collections.abc import Iterator

import pytest

from shared.sandbox.payments import Behaviour, SandboxGateway
from shared.sandbox.table import SandboxTable
from shared.store.table import Table
from tests.desk import Desk, completed_purchases, problems_in
from tests.table import SANDBOX, create_table
from tests.wire import Wire

SHARDS = 4


@pytest.fixture
def table(store: Table) -> Iterator[Table]:
    """The ledger's table, empty."""
    client = client_of(store)
    create_table(client, store.name)
    yield store
    client.delete_table(TableName=store.name)


@pytest.fixture(autouse=True)
def audited(table: Table) -> Iterator[None]:
    """After every test, whatever it did, every invariant holds for every account."""
    yield
    assert problems_in(table) == []


@pytest.fixture
def wire(table: Table) -> Iterator[Wire]:
    wire = Wire(client_of(table))
    yield wire
    wire.detach()


@pytest.fixture
def desk(table: Table) -> Desk:
    return Desk(table)


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
def provider(table: Table, sandbox: SandboxTable) -> Iterator[Provider]:
    """However a purchase went, in the end charges and paid-out purchases match one to one."""
    client = client_of(table)
    name = sandbox._meta.table_name
    create_table(client, name, SANDBOX)
    provider = Provider(sandbox)
    yield provider
    assert provider.charges == sorted(completed_purchases(table, "ann"))
    client.delete_table(TableName=name)


def client_of(table: Table):
    """The botocore client under a store, made now if it has not been."""
    return table._connection.connection.client
