"""A release that was taken back: what it wrote is read by the one before it, and nothing of it is lost or blocks.

Rows are read here both ways: rows as a newer release might write them, by this one; and this one's, by the release
before it, whose code `tests/released/` keeps (``git archive RELEASE shared | xz -9``).
"""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.driver import deadline
from tests.functions.conftest import SETTINGS, client, ledger_table
from tests.functions.stream import items, stream
from tests.functions.test_mailer import NOTICES

RELEASED = Path(__file__).parent.parent / "released"
LAST = "0.2.0"


# --- Rows of a newer release, read by this one ---


def heard(*changes):
    """What is published of changes, and what is put aside."""
    from shared.services.outbox import publish  # noqa: PLC0415 - after Powertools' settings are there
    from shared.store.stream import Change  # noqa: PLC0415

    class Bus:
        def __init__(self):
            self.events = []

        def put(self, events):
            self.events += [(event.type, json.loads(event.json)) for event in events]

    bus, aside = Bus(), []
    assert publish(map(Change, stream(*changes)["Records"]), bus, lambda *each: aside.append(each), deadline) is None
    return bus.events, aside


MORE = {"tier": {"S": "gold"}, "limits": {"M": {"daily": {"N": "5"}}}, "tags": {"SS": ["a"]}, "flag": {"BOOL": True}}
"""Attributes that nobody here knows."""


def put(item):
    client("dynamodb").put_item(TableName="ledger", Item=item)


def test_an_entry_of_an_unknown_type_is_published_as_it_is(api):
    api.open()
    first, second = items("ENTRY#")
    events, aside = heard(first | {"type": {"S": "reversal"}} | MORE, second)
    assert aside == []
    posted = [detail["entry"] for kind, detail in events if kind == "entry.posted"]
    assert [entry["type"] for entry in posted] == ["reversal", "grant"]
    assert [entry["seq"] for entry in posted] == [1, 2]


def test_the_history_shows_it_as_it_is_and_the_account_goes_on(api):
    from shared.services.views import entry_view  # noqa: PLC0415 - after Powertools' settings are there

    api.open()
    first, _ = items("ENTRY#")
    put(first | {"type": {"S": "reversal"}} | MORE)
    assert [entry_view(entry)["type"] for entry in ledger_table().journal("ann")] == ["reversal", "grant"]
    csv = api.call("history", headers={"accept": "text/csv"}, query={"days": "7"})
    assert ",reversal," in csv.text
    assert api.spend(6).status == 201
    assert api.balance() == 44
    put(first)


def test_what_a_newer_release_added_to_an_account_stays_whatever_this_one_writes(api):
    api.open()
    (account,) = items("ACCOUNT")
    put(account | MORE)
    assert api.spend(6).status == 201
    (after,) = items("ACCOUNT")
    assert {name: after[name] for name in MORE} == MORE
    assert api.balance() == 44


def test_a_purchase_in_an_unknown_state_tells_nothing_and_goes_nowhere(api):
    api.open()
    api.buy()
    (purchase,) = items("PURCHASE#")
    for state in ("disputed", "refunded"):
        assert heard((purchase, purchase | {"state": {"S": state}} | MORE)) == ([], [])


def test_a_purchase_of_an_unknown_source_is_told_as_any(api):
    api.open()
    api.buy(sandbox="late")
    (purchase,) = items("PURCHASE#")
    done = purchase | {"state": {"S": "completed"}, "source": {"S": "wallet"}} | MORE
    ((kind, _),), aside = heard((purchase, done))
    assert (kind, aside) == ("notice.purchase_completed", [])


def test_a_notice_of_an_unknown_kind_is_published_as_it_is(api):
    api.open()
    item = {
        "pk": {"S": "ann"},
        "sk": {"S": "NOTICE#gossip#today"},
        "at": {"S": "2026-11-22T10:00:00.000Z"},
        "facts": {"S": '{"who": "bob"}'},
    }
    ((kind, detail),), aside = heard(item | MORE)
    assert (kind, detail["who"], aside) == ("notice.gossip", "bob", [])


def test_a_row_of_an_unknown_kind_tells_nothing(api):
    api.open()
    assert heard({"pk": {"S": "ann"}, "sk": {"S": "LOAN#1"}} | MORE) == ([], [])


@pytest.mark.parametrize("attribute", ["kind", "plan"])
def test_nothing_is_decided_for_an_account_that_is_something_unknown(api, attribute):
    """It is read by the release that knows it, or not at all: a plan that is not known is not `basic`."""
    api.open()
    (account,) = items("ACCOUNT")
    put(account | {attribute: {"S": "platinum"}})
    assert api.spend(6).refused == (500, "internal_error")
    put(account)
    assert api.balance() == 50


# --- Rows of this release, read by the one before it ---

READ = """
import json, sys
from pathlib import Path
import shared
assert Path(shared.__file__).is_relative_to(Path.cwd()), shared.__file__
from shared.services.events import events_of
from shared.services.notice_mail import compose
from shared.store import jobs, promos, purchases, rows
from shared.store.stream import Change

READERS = {
    "ACCOUNT": lambda item: rows.AccountRow.from_raw_data(item).account(),
    "CLAIM": lambda item: rows.ClaimRow.from_raw_data(item).claim(),
    "PURCHASE": lambda item: purchases.PurchaseRow.from_raw_data(item).purchase(),
    "NOTICE": lambda item: rows.NoticeRow.from_raw_data(item).notice(),
    "ENTRY": rows.entry_from,
    "JOB": lambda item: jobs.JobRow.from_raw_data(item).job(),
    "AUCTION": lambda item: jobs.AuctionRow.from_raw_data(item).stored(),
    "PROPOSAL": lambda item: jobs.ProposalRow.from_raw_data(item).proposal(),
    "CAMPAIGN": lambda item: promos.CampaignRow.from_raw_data(item).campaign(),
    "COUNTER": lambda item: promos.CounterRow.from_raw_data(item).counter(),
}
given, problems, read, told = json.load(sys.stdin), [], set(), 0
def attempt(what, act):
    try:
        return act()
    except Exception as error:
        problems.append(f"{what}: {error!r}")
for item in given["items"]:
    kind = item["sk"]["S"].partition("#")[0]
    if kind in READERS:
        read.add(kind)
        attempt(item["sk"]["S"], lambda: READERS[kind](dict(item)))
for record in given["records"]:
    told += len(attempt(record["dynamodb"]["Keys"], lambda: events_of(Change(record))) or [])
for kind, facts in given["notices"].items():
    attempt(kind, lambda: compose(kind, {"account_id": "ann", **facts}))
print(json.dumps({"problems": problems, "read": sorted(read), "told": told}))
"""


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp(LAST)
    with tarfile.open(RELEASED / f"{LAST}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def read_by(folder, rows):
    newer = {"connects_reclaimed", "connects_restored"}
    """It mails no notice of a kind that it has no text for."""
    known = {kind: facts for kind, facts in NOTICES.items() if kind not in newer}
    given = {"items": rows, "records": stream(*rows)["Records"], "notices": known}
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-c", READ],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in SETTINGS},
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)


ROWS = {"ACCOUNT", "ENTRY", "CLAIM", "PURCHASE", "JOB", "AUCTION", "PROPOSAL", "CAMPAIGN", "COUNTER", "NOTICE"}


def test_the_release_before_this_one_reads_all_that_this_one_writes(api, clock, released):
    everything_happens(api, clock)
    rows = items()
    assert {item["sk"]["S"].partition("#")[0] for item in rows} >= ROWS
    found = read_by(released, rows)
    assert found["problems"] == []
    assert set(found["read"]) >= ROWS
    assert found["told"] >= len([item for item in rows if item["sk"]["S"].startswith("ENTRY#")])


def test_what_it_could_not_read_would_be_found(api, released):
    api.open()
    first, second = items("ENTRY#")
    del first["balance_after"]
    problems = read_by(released, [first, second])["problems"]
    assert len(problems) == 2, "as a row, and as a change of it"
    assert all("balance_after" in problem for problem in problems)


def everything_happens(api, clock):
    """Of each kind of row, one at least."""
    api.open()
    api.open("acme", kind="agency", plan="plus")
    api.put_promo()
    api.redeem()
    api.buy()
    api.buy(key="later", sandbox="late")
    api.goes_back(api.buy(key="disputed").body["purchase_id"], 600)
    api.goes_back(api.buy(key="owed").body["purchase_id"], 600)
    api.post(size="small", scope="simple")
    spent = api.propose()
    assert spent.status == 201, spent.text
    api.refund(spent.body["id"])
    for number, account in enumerate(("ann", "bea", "cid", "dan", "eve")):
        if account != "ann":
            api.open(account)
        assert api.boost(bid=5 + number, account=account, key=f"boost-{account}").status == 201
    assert api.badge().status == 200
    api.adjust(3)
    clock.go(days=400)
    api.spend(1, "after a year")
