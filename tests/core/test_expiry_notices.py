"""Notices that lots are about to expire: 30, 7 and 1 days ahead, once each, only if any are left."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from shared.ledger.accounts import OpenAccount, open_account
from shared.ledger.commands import Settle, decide
from shared.ledger.credits import Adjust, Credit
from shared.ledger.expiry_notices import NotifyExpiring
from shared.ledger.model import EntryType, Kind, Plan, Request
from shared.ledger.policy import Policy
from shared.ledger.proposals import Spend
from shared.ledger.refunds import Refund
from tests.core.builders import QUIET, noon

ISSUED = date(2025, 1, 9)
GONE = date(2026, 1, 10)
"""The first day on which a lot of `ISSUED` cannot be used."""


class Owner:
    """Ann, who gets notices whenever the schedule runs."""

    def __init__(self, policy=QUIET):
        self.policy, self.keys, self.notices = policy, 0, []
        command = OpenAccount("ann", Kind.FREELANCER, Plan.BASIC, None, Request("open", "ann", "f", "service"))
        self.account = open_account(command, noon(ISSUED), policy).account

    def do(self, command, day):
        before = self.account
        decision = decide(before, command, noon(day), self.policy)
        self.account = replace(decision.account, version=before.version + 1)
        self.notices += decision.notices
        return decision

    def request(self):
        self.keys += 1
        return Request("test", str(self.keys), "f", "staff")

    def credit(self, amount, day):
        return self.do(Credit(EntryType.REWARD, amount, False, "Reward", {}, self.request()), day)

    def spend(self, amount, day):
        return self.do(Spend(amount, "Proposal", {}, self.request()), day).entries[-1]

    def run(self, day):
        """(days ahead, days left, amount) of each notice that a run on this day sends."""
        notices = self.do(NotifyExpiring(), day).notices
        return [(notice.facts["days_ahead"], notice.facts["days_left"], notice.facts["amount"]) for notice in notices]

    def daily_runs(self, since, until):
        days = [since + timedelta(n) for n in range((until - since).days + 1)]
        return [(str(day), *notice) for day in days for notice in self.run(day)]


@pytest.fixture
def ann():
    ann = Owner()
    ann.credit(10, ISSUED)
    return ann


def before(days):
    return GONE - timedelta(days)


def test_notices_are_sent_30_7_and_1_days_ahead_and_at_no_other_time(ann):
    assert ann.daily_runs(ISSUED, GONE + timedelta(40)) == [
        ("2025-12-11", 30, 30, 10),
        ("2026-01-03", 7, 7, 10),
        ("2026-01-09", 1, 1, 10),
    ]


def test_a_second_run_on_the_same_day_sends_nothing(ann):
    assert ann.run(before(30)) == [(30, 30, 10)]
    assert ann.run(before(30)) == []


def test_a_notice_names_what_is_left(ann):
    ann.spend(4, before(31))
    assert ann.run(before(30)) == [(30, 30, 6)]


def test_there_is_no_notice_of_what_was_spent_meanwhile(ann):
    assert ann.run(before(30)) == [(30, 30, 10)]
    ann.spend(10, before(10))
    assert ann.daily_runs(before(10), GONE) == []


@pytest.mark.parametrize(
    ("days", "notice"), [(29, (30, 29, 10)), (8, (30, 8, 10)), (6, (7, 6, 10)), (2, (7, 2, 10)), (1, (1, 1, 10))]
)
def test_a_late_run_sends_only_the_most_urgent_notice(ann, days, notice):
    assert ann.run(before(days)) == [notice]
    assert ann.run(before(days)) == []


def test_after_a_late_run_the_next_notice_is_sent_on_its_day(ann):
    assert ann.run(before(12)) == [(30, 12, 10)]
    assert ann.daily_runs(before(11), GONE) == [("2026-01-03", 7, 7, 10), ("2026-01-09", 1, 1, 10)]


def test_a_run_after_the_expiry_sends_nothing(ann):
    assert ann.run(GONE) == []


def test_a_run_settles_first(ann):
    decision = ann.do(NotifyExpiring(), GONE)
    assert [entry.type for entry in decision.entries] == [EntryType.EXPIRY]


def test_lots_of_one_day_and_both_classes_are_one_notice(ann):
    ann.do(Credit(EntryType.PURCHASE, 20, True, "Bought", {}, ann.request()), ISSUED)
    assert ann.run(before(30)) == [(30, 30, 30)]


def test_each_day_of_expiry_has_its_own_notices(ann):
    ann.credit(5, ISSUED + timedelta(3))
    sent = ann.daily_runs(before(40), GONE)
    assert [(ahead, amount) for _, ahead, _, amount in sent] == [(30, 10), (30, 5), (7, 10), (7, 5), (1, 10)]


def test_a_notice_is_named_by_day_and_days_ahead(ann):
    ann.run(before(30))
    assert [(notice.kind, notice.about) for notice in ann.notices] == [("expiring", "2026-01-10.30")]
    assert ann.notices[0].facts["expires_on"] == "2026-01-10"


def test_a_refund_into_an_old_lot_has_its_notice_on_the_next_day_of_that_lot(ann):
    spend = ann.spend(10, before(60))
    assert ann.run(before(30)) == []
    ann.do(Refund(spend, "job_canceled", ann.request()), before(20))
    assert ann.daily_runs(before(20), GONE) == [("2026-01-03", 7, 7, 10), ("2026-01-09", 1, 1, 10)]


def test_a_refund_after_a_notice_causes_no_second_one(ann):
    spend = ann.spend(4, before(40))
    assert ann.run(before(30)) == [(30, 30, 6)]
    ann.do(Refund(spend, "job_canceled", ann.request()), before(30))
    assert ann.run(before(30)) == []
    assert ann.run(before(7)) == [(7, 7, 10)]


def test_refunds_in_grace_have_notices_before_they_expire(ann):
    spend = ann.spend(10, before(60))
    ann.run(before(30))
    ann.do(Refund(spend, "job_canceled", ann.request()), GONE)
    sent = ann.daily_runs(GONE, GONE + timedelta(60))
    assert [(ahead, left) for _, ahead, left, _ in sent] == [(7, 7), (1, 1)]


def test_a_spend_changes_no_due_date(ann):
    due = ann.account.notice_due
    ann.spend(10, ISSUED)
    assert ann.account.notice_due == due == date(2025, 12, 11)


def test_a_new_lot_changes_no_due_date_of_an_account_that_had_one(ann):
    """Also if nothing is left and every notice was sent: so a grant costs no write to the index."""
    for day in (before(30), before(7), before(1)):
        ann.run(day)
    ann.do(Settle(), GONE)
    due = ann.account.notice_due
    ann.credit(10, GONE)
    assert ann.account.notice_due == due
    assert ann.daily_runs(GONE, GONE + timedelta(400))[0][1:] == (30, 30, 10)


def test_an_account_from_before_notices_existed_gets_them_from_its_next_change_on(ann):
    ann.account = replace(ann.account, notice_due=None)
    assert ann.run(before(40)) == []
    assert ann.account.notice_due == date(2025, 12, 11)


def test_other_days_can_be_configured():
    ann = Owner(replace(QUIET, expiry_notice_days=(14, 2)))
    ann.credit(10, ISSUED)
    assert [sent[1] for sent in ann.daily_runs(ISSUED, GONE)] == [14, 2]


@pytest.mark.parametrize("days", [(), (0,), (30, -1)])
def test_a_notice_is_at_least_one_day_ahead(days):
    with pytest.raises(ValueError, match="expiry_notice_days"):
        Policy(expiry_notice_days=days)


def test_each_monthly_lot_has_three_notices():
    ann = Owner(Policy())
    sent = ann.daily_runs(ISSUED, ISSUED + timedelta(3 * 366))
    by_day = {}
    for notice in ann.notices:
        by_day.setdefault(notice.facts["expires_on"], []).append(notice.facts["days_ahead"])
    assert len(sent) == len(ann.notices)
    finished = [ahead for day, ahead in by_day.items() if day <= str(ISSUED + timedelta(3 * 366))]
    assert len(finished) >= 24
    assert {tuple(ahead) for ahead in finished} == {(30, 7, 1)}


def test_an_adjustment_that_takes_everything_leaves_no_notice(ann):
    ann.do(Adjust(-10, "wrong account", ann.request()), before(31))
    assert ann.daily_runs(before(31), GONE) == []
