"""What is stored and what is published of it, compared with what `tests/store/kept` has from before.

One story writes every kind of item with every attribute. `items.jsonl` has what it leaves in the table and
`events.jsonl` what is published of that, keys sorted, since DynamoDB does not keep their order. Both are written anew
where they were deleted: do that for a change of what is stored on purpose, and read the difference.
"""

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from shared.ledger.errors import PaymentDeclinedError, PromoExhaustedError
from shared.ledger.interviews import InterviewAward
from shared.ledger.jobs import Channel, JobEvent
from shared.ledger.model import Decision, EntryType, Kind, Plan, Status
from shared.sandbox.payments import Behaviour
from shared.services.audits import run_audit
from shared.services.billing import set_billing_method
from shared.services.due import GRANTS, dispatch
from shared.services.due_dates import dispatch_notices
from shared.services.events import events_of
from shared.store.audits import Audits, Job
from shared.store.badges import BadgeCount, save_count
from shared.store.billing import BillingRow
from shared.store.jobs import AuctionRow, JobRow, ProposalRow
from shared.store.promos import CampaignRow, CounterRow
from shared.store.purchases import PurchaseRow
from shared.store.rows import AccountRow, ClaimRow, EntryRow, NoticeRow, RefundRow, Row
from shared.store.stream import Change
from shared.store.turns import take_turn
from shared.store.walks import Walks
from tests.driver import RecordingQueue, deadline

KEPT = Path(__file__).parent / "kept"
OTHERS = ("bob", "cleo", "don")


@pytest.fixture
def items(driver, provider, monkeypatch):
    """What the story leaves in the table."""
    monkeypatch.setattr("shared.store.turns.time.time", lambda: 1_000_000.0)
    comes = {"sign_up": 40, "monthly_basic": 10, "monthly_plus": 100, "monthly_plus_free": 10}
    driver.under(**comes, certifications={"python": 10}, lot_lifetime_months=2, boost_places=2).at("2026-01-15")
    parts = (
        accounts,
        jobs,
        boosts,
        purchases,
        billing_methods,
        money_that_goes_back,
        interviews,
        a_badge,
        plans_and_statuses,
        marks,
    )
    for part in (*parts, what_falls_due):
        part(driver, provider)
    found = driver.table.client.scan(TableName=driver.table.name)["Items"]
    return sorted(found, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def accounts(driver, _):
    driver.open()
    driver.open("acme", kind=Kind.AGENCY, plan=Plan.PLUS)
    for name in OTHERS:
        driver.open(name)
    driver.rising_talent()
    driver.certification("python")
    driver.adjust(30)
    driver.adjust(-3, "less", reason="A mistake")
    driver.refund(driver.spend(6).entry.entry_id)


def jobs(driver, _):
    now = driver.clock.at
    driver.post("known", size="small", scope="simple", budget_cents=100_00, posted_at=now - timedelta(hours=1))
    driver.propose("known")
    driver.propose("known", account="bob", channel=Channel.INVITATION)
    driver.post("canceled", price=3)
    driver.post("canceled", version=2, price=4)
    driver.propose("canceled", "canceled")
    driver.propose("unknown", "unknown", account="bob", amount=2)
    for event in JobEvent:
        driver.report(event, "ended")
    driver.end("canceled")
    driver.sweep()
    driver.propose("left", "left", account="bob", amount=2)
    driver.end("left")


def boosts(driver, _):
    for job in ("won", "gone", "open"):
        driver.post(job, price=0)
    for bid, name in enumerate(("ann", *OTHERS), start=3):
        driver.boost(bid, "won", account=name, job="won")
    driver.boost(9, "raise", account="don", job="won")
    driver.interact("don", job="won")
    driver.boost(5, "gone", job="gone")
    driver.end("gone")
    driver.boost(2, "open", job="open")
    driver.sweep()
    driver.report(JobEvent.FILLED, "won")


def purchases(driver, provider):
    succeeds, late = provider.that(Behaviour.SUCCEED), provider.that(Behaviour.LATE)
    driver.put_campaign(3)
    driver.put_campaign(2, counters=5)
    driver.put_campaign(1, code="ONCE", counters=1)
    driver.buy(40, succeeds, "bought")
    driver.buy(20, succeeds, "with a code", promo="SPRING")
    driver.buy(10, late, "pending")
    came_late = driver.buy(30, late, "too late for its code", promo="ONCE").purchase
    driver.redeem(account="bob")
    driver.redeem(account="cleo", code="ONCE")
    with pytest.raises(PromoExhaustedError):
        driver.redeem(account="don")
    driver.tell(came_late.charge_id, succeeds)
    driver.buy(10, provider.that(Behaviour.ACTION), "asks the buyer")
    for key in ("declined", "in the end"):
        with pytest.raises(PaymentDeclinedError):
            driver.buy(50, provider.that(Behaviour.DECLINE), key)
    driver.buy(50, succeeds, "in the end")


def billing_methods(driver, _):
    for card in ("pm_1", "pm_2"):
        set_billing_method(
            driver.ledger, "ann", provider="stripe", customer="cus_1", payment_method=card, deadline=deadline()
        )


def money_that_goes_back(driver, provider):
    """Of Eve's three payments one comes again; what of the last one was used is owed, and a credit pays some of it."""
    driver.open("eve", joined_on=date(2026, 1, 14))  # not due together with others: indexes order those as they like
    succeeds = provider.that(Behaviour.SUCCEED)
    bought = [driver.buy(20, succeeds, f"bought {number}", account="eve") for number in range(3)]
    won, spent, repaid = (each.purchase.purchase_id for each in bought)
    driver.goes_back(won, 300, account="eve")
    driver.spend(90, account="eve")
    driver.goes_back(won, 0, "won", account="eve")
    driver.goes_back(repaid, 150, None, account="eve")
    driver.goes_back(spent, 300, "lost", account="eve")
    driver.credit(7, account="eve")


def interviews(driver, _):
    """One is awarded; of those before, two count as one stretch."""
    account, now = driver.stored(), driver.clock.at
    before = [now - timedelta(days=10 * days) for days in range(9, 1, -1)]
    known = (InterviewAward(before[0], before[1], 17), *(InterviewAward(at, at, 9) for at in before[2:]))
    driver.table.commit(account, Decision(replace(account, interviews=known)))
    driver.interview(driver.propose("asked", "asked", amount=3).entry.entry_id, "asked")


def a_badge(driver, _):
    driver.renew_badges()
    driver.badge()
    driver.badge(account="bob", most=4)
    driver.under(badge_min_price=5, badge_max_price=5).at("2026-01-25")
    driver.renew_badges()
    driver.badge(account="cleo")


def plans_and_statuses(driver, _):
    now = driver.clock.at
    driver.change_plan(Plan.PLUS)
    driver.change_plan(Plan.BASIC)
    driver.change_status(Status.SUSPENDED, at=now - timedelta(minutes=2))
    driver.change_status(Status.ACTIVE, at=now - timedelta(minutes=1))
    driver.change_plan(Plan.BASIC, account="acme", at_once=True)
    driver.change_status(Status.CLOSED, account="don")


def marks(driver, _):
    """Items that are no account's, and those beside one that keep how far something has got."""
    take_turn(driver.table, "ann", 7)
    Walks(driver.table).take("job_due", "0", "somebody", driver.clock.at)
    save_count(driver.table, BadgeCount(date(2026, 2, 1), 2, 1, {"pk": {"S": "bob"}}))
    audits = Audits(driver.table)
    for name in ("ann", "bob"):
        audits.begin(None, Job(name, 1, 7, driver.clock.at))
    run_audit(driver.ledger, {"audit": "ann", "run": 1}, None, deadline=deadline())


def what_falls_due(driver, _):
    driver.at("2026-02-16").notify_expiring()
    walks, queue, now = Walks(driver.table), RecordingQueue(), driver.clock.at
    dispatch_notices(driver.ledger, lambda work: dispatch(driver.table, walks, queue, work, now=now, deadline=deadline))
    dispatch(driver.table, walks, queue, GRANTS, now=now, deadline=deadline)
    driver.at("2026-03-20").settle()
    driver.settle("bob")


def published(item):
    """The events of an item that was put or, if it is a purchase, decided."""
    is_purchase = item["sk"]["S"].startswith("PURCHASE#")
    told = {"Keys": {"sk": item["sk"]}, "NewImage": item, "OldImage": {"state": {"S": "pending"}}}
    record = {"eventName": "MODIFY" if is_purchase else "INSERT", "dynamodb": told}
    return [{"type": event.type, **json.loads(event.json)} for event in events_of(Change(record))]


def compare(name, found):
    path, text = KEPT / name, "".join(json.dumps(each, sort_keys=True) + "\n" for each in found)
    kept = path.read_text() if path.exists() else ""
    if not kept:
        path.write_text(text)
    assert text.splitlines() == kept.splitlines()


def test_what_is_stored_and_published_is_what_it_was(items):
    compare("items.jsonl", items)
    compare("events.jsonl", [event for item in items for event in published(item)])


def test_the_story_leaves_nothing_out():
    """But what only an earlier release stored."""
    items = [json.loads(line) for line in (KEPT / "items.jsonl").read_text().splitlines()]
    rows: dict[str, list[type[Row]]] = {
        "ACCOUNT": [AccountRow],
        "ENTRY": [EntryRow],
        "CLAIM": [ClaimRow, RefundRow],
        "PURCHASE": [PurchaseRow],
        "BILLING": [BillingRow],
        "NOTICE": [NoticeRow],
        "JOB": [JobRow],
        "AUCTION": [AuctionRow],
        "PROPOSAL": [ProposalRow],
        "CAMPAIGN": [CampaignRow],
        "COUNTER": [CounterRow],
    }
    for prefix, kinds in rows.items():
        of_kind = [item for item in items if item["sk"]["S"].split("#")[0] == prefix]
        stored = {name for item in of_kind for name in item}
        declared = {attribute.attr_name for kind in kinds for attribute in kind.get_attributes().values()}
        assert stored == declared - {"granted_plan"}, prefix
    assert {item["type"]["S"] for item in items if "type" in item} == set(EntryType)
