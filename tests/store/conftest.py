"""The store suite on moto: in process and fast, one thread at a time, without meters."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from shared.sandbox.table import SandboxTable
from shared.store.table import Table
from tests.store.fixtures import SHARDS, audited, driver, faults, provider, table  # noqa: F401 - fixtures

REGION = "us-east-1"


@pytest.fixture(scope="module")
def aws() -> Iterator[None]:
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        yield


@pytest.fixture(scope="module")
def admin(aws: None) -> Any:  # noqa: ARG001
    return boto3.client("dynamodb", region_name=REGION)


@pytest.fixture(scope="module")
def store(aws: None) -> Table:  # noqa: ARG001
    return Table("ledger", shards=SHARDS, region=REGION)


@pytest.fixture(scope="module")
def sandbox(aws: None) -> SandboxTable:  # noqa: ARG001
    return SandboxTable("sandbox", region=REGION)
