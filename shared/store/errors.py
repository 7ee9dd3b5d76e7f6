"""What can come back from a write, in the ledger's terms. AWS's codes are turned into these here and nowhere else.

::

    StoreError
    ├── VersionMovedError       somebody else changed the account first; carries the account as it is now
    ├── EntryExistsError        the key was used; carries its entry
    ├── ClaimedError            what happens once has happened; carries who holds it
    ├── PurchaseMovedError      the purchase is not in the state that the write expected
    ├── JobMovedError           nor is the job
    ├── ProposalExistsError     the account has a proposal on the job
    ├── CameBackError           more of the spend has come back than was known; tells how much
    ├── CampaignMovedError      the campaign, or how much of it is left, is no longer as it was read
    └── ContentionError         conflict or throttling: nothing happened, try again
        └── OutcomeUnknownError     no answer came: it may have happened, and trying again will tell

Anything else (no such table, no permission) is left as it is: nobody can try it away, and the log should name it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.exceptions import HTTPClientError
from pynamodb.exceptions import PynamoDBException

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.ledger.model import Account, Claim, Entry

CONTENTION = frozenset(
    {
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
        "ThrottlingError",
        "ThrottlingException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
    }
)
NO_ANSWER = frozenset({"InternalServerError", "InternalServerErrorException", "ServiceUnavailable"})


class StoreError(Exception):
    pass


class VersionMovedError(StoreError):
    def __init__(self, current: Account) -> None:
        super().__init__(f"{current.account_id} is at version {current.version}")
        self.current = current


class EntryExistsError(StoreError):
    def __init__(self, entry: Entry) -> None:
        super().__init__(f"{entry.account_id} has entry {entry.entry_id}")
        self.entry = entry


class ClaimedError(StoreError):
    def __init__(self, claim: Claim) -> None:
        super().__init__(f"{claim.name} is held by {claim.holder}")
        self.claim = claim


class PurchaseMovedError(StoreError):
    pass


class JobMovedError(StoreError):
    pass


class ProposalExistsError(StoreError):
    pass


class CameBackError(StoreError):
    def __init__(self, holder: str, came_back: int | None) -> None:
        super().__init__(f"{came_back} Connects have come back, first by {holder}")
        self.holder = holder
        self.came_back = came_back


class CampaignMovedError(StoreError):
    pass


class ContentionError(StoreError):
    pass


class OutcomeUnknownError(ContentionError):
    pass


@contextmanager
def contention_from_aws() -> Iterator[None]:
    """Tell contention and lost answers from faults that trying again cannot mend."""
    try:
        yield
    except PynamoDBException as error:
        # Also where there was no connection: the SDK may have sent the request before, and heard nothing. Asked first,
        # because these have no code to ask for.
        if isinstance(error.cause, HTTPClientError | NoConnectionError):
            raise OutcomeUnknownError(repr(error.cause)) from error
        code = error.cause_response_code
        if code in CONTENTION:
            raise ContentionError(code) from error
        if code in NO_ANSWER:
            raise OutcomeUnknownError(code) from error
        raise
