"""What an interview brings, and the cap on what interviews bring an account within any window of days.

Interviews are reported late and in any order, and the cap counts by when they took place. So an account stores what its
interviews were awarded by these times, and an interview is awarded only as much as keeps every window around it within
the cap.

An account stores `REMEMBERED` awards. Of more, two neighbours are merged into one **stretch**, which counts whole in
any window that it touches: the cap is never passed, and an interview that is reported very late, between many others,
may bring less.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from shared.ledger.badges import timestamp
from shared.ledger.calendar import expiry_of_lot
from shared.ledger.errors import (
    AccountClosedError,
    AlreadyRefundedError,
    NoInterviewRewardError,
    RewardCapReachedError,
)
from shared.ledger.jobs import Channel
from shared.ledger.model import Bucket, Decision, Entry, EntryType, Request, Status, slices_back
from shared.ledger.refunds import check_on_proposal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.ledger.policy import Policy

REMEMBERED = 16
"""With these and 24 buckets an account's item stays below 1 KB. The default cap admits a third as many in a window."""


@dataclass(frozen=True, slots=True)
class Interview:
    """A client invited the account to an interview for a proposal, which cost ``spend``."""

    spend: Entry
    request: Request
    came_back: int | None = None
    """How many of its Connects were refunded before; None if there was no refund."""
    at: datetime | None = None
    """When the interview was; None for now."""

    def apply(self, settled: Decision, now: datetime, policy: Policy, /) -> Decision:
        """Refund the proposal's Connects, and reward what is missing to what an interview brings.

        Near the cap it brings only what fits, the proposal's own Connects first; the rest is lost. The reward's lot
        lives from the day of the interview on.

        Raises:
            NotRefundableError: the spend is for no proposal.
            NoInterviewRewardError: the proposal came through a free channel.
            RewardCapReachedError: nothing fits.
            AlreadyRefundedError: as much as an interview brings was refunded before, so nothing is missing.
            AccountClosedError: a closed account only gets the proposal's own Connects, and none are missing.
        """
        check_on_proposal(self.spend)
        _check_channel(self.spend)
        spend, came_back = self.spend, self.came_back or 0
        at = min(self.at or now, now)
        brought = min(_room(settled.account.interviews, at, policy), policy.interview - came_back)
        if brought <= 0:
            raise AlreadyRefundedError(spend.entry_id)
        if settled.account.status is Status.CLOSED:
            brought = min(brought, -spend.amount - came_back)
            if brought <= 0:
                raise AccountClosedError
        refunded = min(-spend.amount - came_back, brought)
        rewarded = brought - refunded
        known = remember(settled.account.interviews, at, brought, now, timedelta(days=policy.interview_window_days))
        settled = replace(settled, account=replace(settled.account, interviews=known)).once(interview_claim(spend))
        reference = {"type": "interview", "spend_id": spend.entry_id} | ({"at": timestamp(at)} if at != now else {})
        request = self.request
        if refunded:
            settled = settled.add_entry(
                EntryType.REFUND,
                slices_back(spend.slices, refunded, now.date(), policy.refund_grace_days, before=came_back),
                request,
                at=now,
                now=now,
                reason="Interview: the proposal's Connects",
                reference=reference,
            )
            request = replace(request, operation="interview_reward")
        if rewarded:
            settled = settled.add_entry(
                EntryType.REWARD,
                {Bucket(expiry_of_lot(at.date(), policy.lot_lifetime_months), paid=False): rewarded},
                request,
                at=now,
                now=now,
                reason="Interview",
                reference=reference,
            )
        return settled


@dataclass(frozen=True, slots=True, order=True)
class InterviewAward:
    """What interviews brought from ``first`` to ``last``, both included: the same instant, unless some were merged."""

    first: datetime
    last: datetime
    amount: int


def interview_claim(spend: Entry) -> str:
    """A proposal has its interview at most once."""
    return f"interview#{spend.entry_id}"


def awarded_around(interviews: Sequence[InterviewAward], at: datetime, window: timedelta) -> int:
    """The most that interviews brought in any ``window`` that contains ``at``. A window excludes its end."""
    starts = [each.last for each in interviews if at - window < each.last <= at]
    return max(_awarded_from(interviews, start, window) for start in [*starts, at])


def remember(
    interviews: Sequence[InterviewAward], at: datetime, amount: int, now: datetime, window: timedelta
) -> tuple[InterviewAward, ...]:
    """The awards with one more, in the order of time, merged to at most `REMEMBERED`."""
    known = sorted(interviews)
    around = next((each for each in known if each.first <= at <= each.last), None)
    if around:
        known[known.index(around)] = replace(around, amount=around.amount + amount)
    else:
        known = sorted([*known, InterviewAward(at, at, amount)])
    while len(known) > REMEMBERED:
        known = _with_two_merged(known, now, window)
    return tuple(known)


def _room(interviews: Sequence[InterviewAward], at: datetime, policy: Policy) -> int:
    awarded = awarded_around(interviews, at, timedelta(days=policy.interview_window_days))
    if awarded >= policy.interview_cap:
        raise RewardCapReachedError(cap=policy.interview_cap, awarded=awarded, days=policy.interview_window_days)
    return policy.interview_cap - awarded


def _awarded_from(interviews: Sequence[InterviewAward], start: datetime, window: timedelta) -> int:
    return sum(each.amount for each in interviews if start <= each.last and each.first < start + window)


def _with_two_merged(known: list[InterviewAward], now: datetime, window: timedelta) -> list[InterviewAward]:
    """The awards with two neighbours merged: the two that lie closest together for their age.

    Those of the last window, which decide on the next interview, are merged only if there are no others.
    """

    def harm(pair: tuple[InterviewAward, InterviewAward]) -> tuple[bool, float]:
        older, newer = pair
        return newer.last > now - window, (newer.last - older.first) / (now - older.first)

    older, newer = min(pairwise(known), key=harm)
    merged = InterviewAward(older.first, newer.last, older.amount + newer.amount)
    return sorted([*(each for each in known if each not in {older, newer}), merged])


def _check_channel(spend: Entry) -> None:
    channel = spend.reference.get("channel", Channel.SEARCH)
    if channel != Channel.SEARCH:
        raise NoInterviewRewardError(channel)
