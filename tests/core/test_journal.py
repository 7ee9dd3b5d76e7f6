"""Any sequence of commands, over any stretch of time, leaves a sound account, however the schedules ran.

Two books get the same commands. No schedule ever runs for the *late* one: only its commands settle it. The *nightly*
one is settled at each midnight. Their journals must be the same.
"""

from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared.ledger.auction import Bid, Boost, Ending, Verdict, Why
from shared.ledger.badges import BADGE, BADGE_OFF, ONE_WEEK, RenewBadge, SwitchBadge, is_badge
from shared.ledger.calendar import ONE_DAY, add_months, midnight
from shared.ledger.commands import Command, Settle
from shared.ledger.credits import Adjust, Credit
from shared.ledger.errors import (
    AccountClosedError,
    AccountFrozenError,
    AccountSuspendedError,
    AlreadyRefundedError,
    InsufficientConnectsError,
    LedgerError,
    NotRefundableError,
    PriceChangedError,
    RewardCapReachedError,
)
from shared.ledger.holds import BOOST, REASONS, EndHold, Hold, held_up_to, hold_reference
from shared.ledger.interviews import Interview
from shared.ledger.model import Account, Entry, EntryType, Kind, Plan, PlanChange, Request, Status, entry_id
from shared.ledger.plans import ChangeAccount
from shared.ledger.proposals import Spend
from shared.ledger.refunds import Refund
from tests.core.awkward import LONG_PAUSES, OPENED_ON, PAUSES, POLICIES, next_leap_day
from tests.core.builders import BACK, INSTANT, Book, content, problems
from tests.core.story import check_story, left_for_interviews, starts_at, week_paid_for

ALL = 0
A_WINDOW = timedelta(days=max(policy.interview_window_days for policy in POLICIES))
amounts = st.integers(1, 60)
prices = st.integers(1, 12)
lateness = st.sampled_from([None, None, *(timedelta(days) for days in (0, 1, 20, 45, 300, 500))])


class Journal(RuleBasedStateMachine):
    late: Book
    nightly: Book

    @initialize(
        policy=st.sampled_from(POLICIES),
        kind=st.sampled_from([Kind.FREELANCER, Kind.AGENCY, Kind.FREELANCER]),
        plan=st.sampled_from(Plan),
        opened_on=st.sampled_from(OPENED_ON),
        joined_days_before=st.sampled_from([0, 0, 1, 20, 400]),
    )
    def open(self, policy, kind, plan, opened_on, joined_days_before):
        joined_on = date.fromisoformat(opened_on) - timedelta(joined_days_before)
        self.late = Book.opened(opened_on, policy=policy, kind=kind, plan=plan, joined_on=joined_on.isoformat())
        self.nightly = self.late.copy()
        self.opened_on = date.fromisoformat(opened_on)
        self.spends: list[Entry] = []
        self.interviewed: list[Entry] = []
        self.holds: dict[str, tuple[Boost, list[Entry]]] = {}
        self.ended: list[Boost] = []
        self.captured: list[tuple[Boost, list[Entry]]] = []
        self.years_passed = False

    # What callers ask for

    @rule(amount=amounts, is_paid=st.booleans())
    def credit(self, amount, is_paid):
        entry_type = EntryType.PURCHASE if is_paid else EntryType.PROMO
        command = Credit(entry_type, amount, is_paid, "Credit", {"type": "test"}, self.late.request("credit"))
        if not is_paid and (refusal := why_not_act(self.late.account)):
            self.refused(command, refusal)
        else:
            self.both(command)

    @rule(amount=amounts | st.just(ALL))
    def spend(self, amount):
        shown = self.nightly.shown
        assert self.late.shown == shown
        amount = shown.balance or 1 if amount == ALL else amount
        command = Spend(amount, "Proposal", {"type": "proposal"}, self.late.request("spend"))
        if refusal := why_not_use(shown):
            self.refused(command, refusal)
        elif shown.balance < amount:
            refused = self.refused(command, InsufficientConnectsError)
            assert refused.details == {"balance": shown.balance, "required": amount}
        else:
            self.spends.append(self.both(command)[-1])

    @precondition(lambda self: self.spends)
    @rule(data=st.data(), reason=st.sampled_from(sorted(BACK)))
    def refund(self, data, reason):
        spend = data.draw(st.sampled_from(self.spends))
        came_back = self.late.came_back(spend)
        command = Refund(spend, reason, self.late.request("refund"), came_back)
        if came_back == -spend.amount:
            self.refused(command, AlreadyRefundedError)
            return
        written = self.both(command)
        refund = next(entry for entry in written if entry.type is EntryType.REFUND)
        assert refund.amount == -spend.amount - (came_back or 0)
        if not came_back:
            assert by_class(refund) == {is_paid: -amount for is_paid, amount in by_class(spend).items()}

    @precondition(lambda self: any(map(self.late.came_back, self.spends)))
    @rule(data=st.data(), reason=st.sampled_from(sorted(BACK)))
    def refund_as_if_nothing_had_come_back(self, data, reason):
        """The store knows how much was refunded before; without that, the audit would report a problem."""
        spend = data.draw(st.sampled_from(list(filter(self.late.came_back, self.spends))))
        forgetful = self.late.copy()
        forgetful.run(Refund(spend, reason, forgetful.request("refund")))
        assert problems(forgetful.account, forgetful.entries)

    @precondition(lambda self: self.spends)
    @rule(data=st.data(), days_ago=st.sampled_from([0, 0, 1, 5, 7, 21, 90]))
    def interview(self, data, days_ago):
        """Reported at once or late."""
        spend = data.draw(st.sampled_from(self.spends))
        if spend in self.interviewed:
            return
        at = self.late.now - timedelta(days=days_ago)
        came_back = self.late.came_back(spend) or 0
        missing = max(self.late.policy.interview - came_back, 0)
        left = left_for_interviews(self.late, at)
        command = Interview(spend, self.late.request("reward"), self.late.came_back(spend), at)
        closed = self.late.account.closed_at is not None
        due, missing = missing, min(missing, -spend.amount - came_back) if closed else missing
        if not left:
            self.refused(command, RewardCapReachedError)
        elif not due:
            self.refused(command, AlreadyRefundedError)
        elif not missing:
            self.refused(command, AccountClosedError)
        else:
            brought = [entry for entry in self.both(command) if entry.reference["type"] == "interview"]
            amounts_ = {entry.type: entry.amount for entry in brought}
            own = min(-spend.amount - came_back, missing, left)
            assert sum(amounts_.values()) == min(missing, left)
            assert amounts_.get(EntryType.REFUND, 0) == own
            self.interviewed.append(spend)

    @precondition(lambda self: self.interviewed)
    @rule(data=st.data())
    def interview_again(self, data):
        """The store's claims prevent a second award; without them, the audit would report a problem."""
        spend = data.draw(st.sampled_from(self.interviewed))
        unclaimed = self.late.copy()
        unclaimed.at(unclaimed.now + A_WINDOW).run(Interview(spend, unclaimed.request("reward")))
        assert problems(unclaimed.account, unclaimed.entries)

    @rule(amount=amounts, sign=st.sampled_from([1, -1]))
    def adjust(self, amount, sign):
        balance = self.nightly.shown.balance
        command = Adjust(sign * amount, "Correction", self.late.request("adjustment"))
        if self.late.account.closed_at and sign > 0:
            self.refused(command, AccountClosedError)
        elif balance + sign * amount < 0:
            refusal = self.refused(command, InsufficientConnectsError)
            assert refusal.details == {"balance": balance, "required": amount}
        else:
            assert self.both(command)[-1].amount == sign * amount

    @rule(change=st.sampled_from(PlanChange), late_by=lateness)
    def change_plan(self, change, late_by):
        self.change(plan=change, late_by=late_by)

    @rule(status=st.sampled_from([Status.ACTIVE, Status.ACTIVE, Status.SUSPENDED]), late_by=lateness)
    def change_status(self, status, late_by):
        self.change(status=status, late_by=late_by)

    @rule(sure=st.sampled_from([False, False, True]))
    def close(self, sure):
        if sure:
            self.change(status=Status.CLOSED, late_by=None)

    def change(self, *, late_by, **what):
        at = None if late_by is None else self.late.now - late_by
        command = ChangeAccount(self.late.request("change"), at=at, **what)
        if self.late.account.closed_at and what.get("status") is not Status.CLOSED:
            self.refused(command, AccountClosedError)
        else:
            self.both(command)

    @rule(price=prices, most=prices)
    def switch_the_badge_on(self, price, most):
        command = SwitchBadge(True, most, price, Request(BADGE, "", "", "account:ann"))
        paid, shown = week_paid_for(self.late), self.nightly.shown
        if refusal := why_not_use(shown):
            self.refused(command, refusal)
        elif not paid and price > most:
            self.refused(command, PriceChangedError)
        elif not paid and price > shown.balance:
            self.refused(command, InsufficientConnectsError)
        else:
            self.charged_for_a_badge(command, [] if paid else [price])
            badge = self.late.account.badge
            assert (badge.enabled, badge.max_per_week) == (True, most)
            assert self.late.run(command) == []

    @precondition(lambda self: self.late.account.badge)
    @rule()
    def switch_the_badge_off(self):
        self.charged_for_a_badge(SwitchBadge(False, None, 1, Request(BADGE, "", "", "account:ann")), [])
        assert not self.late.account.badge.enabled

    @precondition(lambda self: self.late.account.badge)
    @rule(price=prices, weeks=st.sampled_from([0, 0, 1, 5]), instants=st.sampled_from([-1, 0, 1]))
    def the_badge_falls_due_for_renewal(self, price, weeks, instants):
        """At its instant or about it, or weeks late."""
        badge = self.late.account.badge
        self.move_to(max(self.late.now, badge.paid_until + weeks * ONE_WEEK + instants * INSTANT))
        shown, notices_before = self.nightly.shown, len(self.late.notices)
        ended = badge.enabled and not week_paid_for(self.late)
        payable = ended and not why_not_use(shown) and price <= min(badge.max_per_week, shown.balance)
        self.charged_for_a_badge(RenewBadge(price, Request(BADGE, "", "", "system")), [price] if payable else [])
        went_off = ended and not payable
        assert [notice.kind for notice in self.late.notices[notices_before:]] == ([BADGE_OFF] if went_off else [])
        assert self.late.account.badge.enabled == (badge.enabled and not went_off)

    def charged_for_a_badge(self, command, prices_):
        """From its last week on where it was on until then, from now on where it was off."""
        badge = self.late.account.badge
        written = [entry for entry in self.both(command) if is_badge(entry)]
        assert [-entry.amount for entry in written] == prices_
        if written:
            assert week_paid_for(self.late) == written[0]
            if badge and badge.enabled:
                assert (starts_at(written[0]) - badge.paid_until) % ONE_WEEK == timedelta(0)
            else:
                assert starts_at(written[0]) == self.late.now

    @precondition(lambda self: week_paid_for(self.late) is not None)
    @rule(reason=st.sampled_from(sorted(BACK)))
    def a_week_of_the_badge_never_comes_back(self, reason):
        week, request = week_paid_for(self.late), self.late.request("refund")
        self.refused(Refund(week, reason, request), NotRefundableError)
        self.refused(Interview(week, request), NotRefundableError)

    @rule(amount=amounts, raises=st.booleans())
    def hold(self, amount, raises):
        request = self.late.request(BOOST)
        new, bid = entry_id("ann", BOOST, request.key), Bid(self.late.now, amount)
        boost, before = Boost("ann", "p", new, new, (bid,)), []
        if raises and self.holds:
            known, before = self.holds[min(self.holds)]
            boost = known.raised(replace(bid, amount=known.bid + amount), new)
        command = Hold(amount, "Boost", hold_reference("j", boost, 1, before[-1].entry_id if before else None), request)
        shown = self.nightly.shown
        if refusal := why_not_use(shown):
            self.refused(command, refusal)
        elif shown.balance < amount:
            self.refused(command, InsufficientConnectsError)
        else:
            self.holds[boost.hold_id] = (boost, [*before, self.both(command)[-1]])
        assert self.late.account.held == self.bids()

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), why=st.sampled_from(Why), decided=st.sampled_from([timedelta(0), timedelta(days=40)]))
    def end_a_hold(self, data, why, decided):
        """Released whole or, where it is captured, at one of its bids; what was bid above that comes back."""
        boost, entries = self.holds.pop(data.draw(st.sampled_from(sorted(self.holds))))
        pays = data.draw(st.sampled_from([bid.amount for bid in boost.bids])) if why.captures else 0
        kept = self.comes_back(boost, entries, Verdict(pays, why, self.late.now - decided))
        assert self.late.account.held == self.bids()
        self.ended.append(boost)
        if pays:
            self.captured.append((replace(boost, bids=(Bid(boost.since, pays),), captured=True), kept))

    @precondition(lambda self: self.captured)
    @rule(data=st.data(), why=st.sampled_from(sorted(REASONS)))
    def what_was_captured_comes_back_by_later_news(self, data, why):
        boost, entries = self.captured.pop(data.draw(st.integers(0, len(self.captured) - 1)))
        assert self.comes_back(boost, entries, Verdict(0, why, self.late.now)) == []

    def comes_back(self, boost, entries, verdict):
        """All that was held above what is paid, by class; returns the entries that hold for the rest."""
        above = [entry for entry in entries if held_up_to(entry) > verdict.pays]
        written = self.both(EndHold("j", Ending(boost, verdict), tuple(above)))
        back, taken = Counter({False: 0, True: 0}), Counter({False: 0, True: 0})
        for entry in written:
            if entry.reference.get("hold_id") == boost.hold_id:
                back.update(by_class(entry))
        for entry in above:
            taken.update(by_class(entry))
        assert back == {is_paid: -amount for is_paid, amount in taken.items()}
        assert back.total() == boost.bid - verdict.pays
        return [entry for entry in entries if entry not in above]

    @precondition(lambda self: self.ended)
    @rule(data=st.data(), why=st.sampled_from(Why))
    def end_a_hold_again(self, data, why):
        """The key of its entry prevents a second end; without it, the audit would report a problem."""
        unkept, boost = self.late.copy(), data.draw(st.sampled_from(self.ended))
        unkept.run(EndHold("j", Ending(boost, Verdict(boost.bid if why.captures else 0, why, unkept.now))))
        assert problems(unkept.account, unkept.entries)

    def bids(self) -> int:
        return sum(boost.bid for boost, _ in self.holds.values())

    # Time

    @rule(pause=st.sampled_from(PAUSES))
    def time_passes(self, pause):
        self.move_to(self.late.now + pause)

    @precondition(lambda self: not self.years_passed)
    @rule(pause=st.sampled_from(LONG_PAUSES))
    def years_pass(self, pause):
        self.years_passed = True
        self.move_to(self.late.now + pause)

    @rule(
        until=st.sampled_from(["midnight", "end of month", "cycle", "leap day", "expiry"]),
        instants=st.sampled_from([-1, 0, 1]),
    )
    def time_passes_until_the_edge_of(self, until, instants):
        today, account = self.nightly.now.date(), self.nightly.account
        edges = {
            "midnight": today + ONE_DAY,
            "end of month": add_months(today.replace(day=1), 1),
            "cycle": account.grant_due or today,
            "leap day": next_leap_day(today),
            "expiry": account.expiry_due or today,
        }
        self.move_to(max(self.late.now, midnight(edges[until]) + instants * INSTANT))

    # What must hold

    @invariant()
    def both_books_tell_the_same_story(self):
        late, nightly = self.late.copy(), self.nightly.copy()
        late.settle()
        nightly.settle()
        assert late.account == nightly.account
        assert [content(entry) for entry in late.entries] == [content(entry) for entry in nightly.entries]
        assert late.run(Settle()) == []
        check_story(late, self.opened_on)

    # How

    def both(self, command: Command) -> list[Entry]:
        self.nightly.run(command)
        return self.late.do(command)

    def refused(self, command: Command, refusal: type[LedgerError]) -> LedgerError:
        with pytest.raises(refusal) as refused:
            self.late.copy().run(command)
        return refused.value

    def move_to(self, now: datetime) -> None:
        day = self.late.now.date()
        while day < now.date():
            day += ONE_DAY
            self.nightly.at(midnight(day)).run(Settle())
        self.late.at(now)
        self.nightly.at(now)


def why_not_act(account: Account) -> type[LedgerError] | None:
    return {Status.CLOSED: AccountClosedError, Status.SUSPENDED: AccountSuspendedError}.get(account.status)


def why_not_use(account: Account) -> type[LedgerError] | None:
    return why_not_act(account) or (AccountFrozenError if account.frozen else None)


def by_class(entry: Entry) -> dict[bool, int]:
    totals = {False: 0, True: 0}
    for bucket, amount in entry.slices.items():
        totals[bucket.paid] += amount
    return totals


def test_any_sequence_of_commands_keeps_every_invariant_whether_settled_nightly_or_late():
    run_state_machine_as_test(Journal, settings=settings(stateful_step_count=40))
