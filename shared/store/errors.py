"""How a read or a write fails, in the ledger's terms. AWS's codes are turned into these here and nowhere else.

::

    StoreError
    ├── VersionMovedError       somebody else changed the account first; carries the account as it is now
    ├── EntryExistsError        the key was used; carries its entry
    ├── ClaimedError            what happens once has happened; carries who holds it
    ├── PurchaseMovedError      the purchase is not in the state that the write expected
    ├── JobMovedError           nor is the job
    ├── ProposalExistsError     the account has a proposal on the job
    ├── CameBackError           more of the spend has come back than was known; carries how much
    ├── CampaignMovedError      the campaign, or how much of it is left, is no longer as it was read
    ├── AuditMovedError         another audit of the account was begun
    ├── BillingMovedError       the account's payment method is another than was read
    └── ContentionError         throttling, a read that was not answered: nothing happened, try again
        ├── ConflictError           another transaction was writing one of the items: nothing happened, try again
        └── OutcomeUnknownError     a write was not answered: it may have happened; trying again finds out

Anything else (no such table, no permission) is raised as it came: trying again does not help, and the log names it.

What DynamoDB answers, and what is raised for it:

===================================================  =====================================================
an answer with a status of 500 or more, or 408       OutcomeUnknownError, whatever its body says
an answer with 429, or a code in `CONTENTION`        ContentionError; OutcomeUnknownError where the request was
                                                     sent a second time, as the first was not answered
``TransactionInProgressException``                   OutcomeUnknownError: it is this very transaction, sent before
no answer, half of one, no connection, no TLS        OutcomeUnknownError: it may have been sent before
credentials that did not come in time                OutcomeUnknownError, as above
a certificate that is not trusted                    as it came
no credentials, or wrong or old ones; a bad request  as it came
reasons of a cancelled transaction                   the item that refused it; else contention if one is in
                                                     `CONTENTION`; else (``ValidationError``,
                                                     ``ItemCollectionSizeLimitExceeded``, new ones) as it came
===================================================  =====================================================
"""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from botocore.exceptions import (
    ChecksumError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    SSLError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from pynamodb.exceptions import PynamoDBException

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.ledger.model import Account, Claim, Entry

CONFLICT = "TransactionConflict"
CONTENTION = frozenset(
    {
        CONFLICT,
        "TransactionConflictException",
        "ReplicatedWriteConflictException",
        "ThrottlingError",
        "Throttling",
        "ThrottlingException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
    }
)
IN_PROGRESS = "TransactionInProgressException"
REQUEST_TIMEOUT, TOO_MANY_REQUESTS, SERVER_ERROR = 408, 429, 500
NO_ANSWER = (
    HTTPClientError,
    NoConnectionError,
    IncompleteReadError,
    ChecksumError,
    CredentialRetrievalError,
    MetadataRetrievalError,
)


class StoreError(Exception):
    unanswered = False
    """Whether an earlier try was not answered: what refused this one may then have been written by that one."""

    def after(self, cause: BaseException | None) -> Self:
        """This refusal, `unanswered` too where ``cause`` says that the request was sent twice."""
        self.unanswered = self.unanswered or was_sent_twice(cause)
        return self


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


class AuditMovedError(StoreError):
    pass


class BillingMovedError(StoreError):
    pass


class ContentionError(StoreError):
    pass


class ConflictError(ContentionError):
    pass


class OutcomeUnknownError(ContentionError):
    unanswered = True


@contextmanager
def contention_from_aws(*, reading: bool = False) -> Iterator[None]:
    """Raise contention and lost answers as ContentionError, and as they came the faults that no further try mends.

    Only ``reading`` changes nothing: where no answer comes, the outcome is not unknown.
    """
    try:
        yield
    except PynamoDBException as error:
        if passing := _passing(error.cause):
            raise (ContentionError(*passing.args) if reading else passing) from error
        raise


def is_no_answer(error: BaseException | None) -> bool:
    """Whether an error of the SDK means that no answer came, or none that can be trusted.

    Also where there was no connection: the SDK may have sent the request before, without an answer.
    """
    return isinstance(error, NO_ANSWER) and not _is_distrust(error)


def was_sent_twice(error: BaseException | None) -> bool:
    """Whether a refused request was sent twice: only one that was not answered is sent again."""
    return bool(_metadata(error).get("RetryAttempts"))


def _passing(cause: BaseException | None) -> ContentionError | None:
    if is_no_answer(cause):
        return OutcomeUnknownError(repr(cause))
    if not isinstance(cause, ClientError):
        return None
    code, status = cause.response["Error"].get("Code", ""), int(_metadata(cause).get("HTTPStatusCode", 0))
    if status >= SERVER_ERROR or status == REQUEST_TIMEOUT or code == IN_PROGRESS:
        return OutcomeUnknownError(f"{status} {code}")
    if status == TOO_MANY_REQUESTS or code in CONTENTION:
        return OutcomeUnknownError(code) if was_sent_twice(cause) else ContentionError(code)
    return None


def _metadata(error: BaseException | None) -> dict[str, int]:
    """What an answer says of itself. pynamodb's error leaves it out; the SDK's, which caused that, has it."""
    original = error.__cause__ if error and isinstance(error.__cause__, ClientError) else error
    response = original.response if isinstance(original, ClientError) else {}
    found: dict[str, int] = response.get("ResponseMetadata", {})  # type: ignore[assignment]
    return found


def _is_distrust(error: BaseException | None) -> bool:
    """Whether the server's certificate was refused, as it will be the next time."""
    reason = error.kwargs["error"] if isinstance(error, SSLError) else None
    return isinstance(reason, Exception) and any(isinstance(arg, ssl.SSLCertVerificationError) for arg in reason.args)
