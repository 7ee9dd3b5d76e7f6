"""``PUT`` and ``GET /jobs/{job_id}``, ``POST /jobs/{job_id}/events``: jobs, and what happens to them.

Anyone with a token may read a job, to see its price before anything is spent; the rest is for services.
"""

import time
from datetime import datetime
from typing import Annotated, Literal

from aws_lambda_powertools.event_handler import Response
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Meta

from shared.aws.observability import logger
from shared.aws.queue import SendError, due_queue
from shared.aws.wiring import wiring
from shared.http.api import Router, answer, event_time
from shared.http.requests import Amount, Body, Id, Instant
from shared.ledger.auction import Interaction
from shared.ledger.errors import InvalidRequestError
from shared.ledger.jobs import EARLIEST, LARGEST, LATEST, LONGEST_NAME, Job, JobAndAuction, JobEvent, Posting
from shared.services.job_sweep import look_at_message
from shared.services.jobs import apply_job_event, interact_on_job, read_job, save_posting
from shared.services.views import job_view

app = Router()

Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]


class JobBody(Body):
    """The whole of a job: what is left out of a newer version is gone, but for the time it was posted."""

    version: Annotated[int, Meta(ge=0, le=LARGEST)]
    size: Name | None = None
    scope: Name | None = None
    budget_cents: Annotated[int, Meta(ge=0, le=LARGEST)] | None = None
    price: Amount | None = None
    posted_at: Instant | None = None
    at: Instant | None = None
    """When this version came to be; now where it is left out. At most five minutes ahead."""


class EventBody(Body):
    """An interaction names its proposal by ``account_id``, ``proposal_id``, or both; the other types need neither."""

    type: Literal["hired", "canceled", "removed", "expired", "filled", "interaction"]
    account_id: Id | None = None
    proposal_id: Id | None = None
    at: Instant | None = None
    """When it happened; now where it is left out. At most five minutes ahead."""
    interacted_at: Instant | None = None
    """Another name of ``at``."""


@app.route(
    "PUT /jobs/{job_id}",
    "put_job",
    "Tell of a job, in versions: an older one than is known is ignored",
    who="service",
    answers={200: "Job"},
)
def put_job(job_id: Id, body: JobBody) -> Response[str]:
    _check_plausible("body.posted_at", body.posted_at)
    posting = Posting(body.version, body.size, body.scope, body.budget_cents, body.price, body.posted_at)
    until = app.deadline()
    return _shown(save_posting(wiring().ledger, job_id, posting, deadline=until, at=event_time(body.at)))


@app.route(
    "GET /jobs/{job_id}",
    "read_job",
    "What a proposal on a job costs, whether it takes any, and what its boosted places are bid",
    who="anyone",
    answers={200: "Job"},
    refuses=("job_not_found",),
)
def get_job(job_id: Id) -> Response[str]:
    return _shown(read_job(wiring().ledger, job_id))


@app.route(
    "POST /jobs/{job_id}/events",
    "job_event",
    "Tell what happened to a job: canceled or removed, its proposals are refunded; or of an interaction",
    who="service",
    answers={202: "Job"},
    refuses=("job_not_found",),
)
def job_event(job_id: Id, body: EventBody) -> Response[str]:
    """A repeat changes nothing more, so no key is needed."""
    ledger, until = wiring().ledger, app.deadline()
    at = event_time(body.at) if body.at else event_time(body.interacted_at, "body.interacted_at")
    if body.type == "interaction":
        interaction = Interaction(body.account_id, body.proposal_id, at)
        return _shown(interact_on_job(ledger, job_id, interaction, deadline=until), 202)
    known = apply_job_event(ledger, job_id, JobEvent(body.type), deadline=until, at=at)
    if known.job.refunds_due and not known.job.looks and time.monotonic() < until:
        _look_now(known.job)
    return _shown(known, 202)


def _check_plausible(loc: str, at: datetime | None) -> None:
    if at and not EARLIEST <= at <= LATEST:
        raise InvalidRequestError(loc, f"must lie between {EARLIEST:%Y} and {LATEST:%Y}")


def _shown(known: JobAndAuction, status: int = 200) -> Response[str]:
    return answer(job_view(known), status)


def _look_now(job: Job) -> None:
    """Start the refunds at once. If that fails, the schedule finds the job within a minute."""
    try:
        due_queue().send([look_at_message(job)])
    except (SendError, BotoCoreError, ClientError):
        logger.exception("the refunds of a job wait for the schedule", job_id=job.job_id)


handler = app.serve()
