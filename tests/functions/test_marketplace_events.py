"""What the marketplace's events do: the same as the HTTP calls, and with them once."""

import json
from itertools import count

import pytest
from jsonschema import Draft202012Validator

from shared.clock import SystemClock
from shared.services.marketplace_events import HANDLERS
from shared.store.rows import instant
from tests.functions.conftest import everything
from tests.functions.events import event
from tests.functions.stream import SCHEMAS

FUNCTION = "marketplace_events"
INCOMING = SCHEMAS / "incoming"
NUMBERS = count(1)
START, NOON = "2026-11-22T10:00:00Z", "2026-11-22T12:00:00Z"


def schema_of(kind):
    schema = json.loads((INCOMING / f"{kind}.json").read_text())
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def told(kind, /, **detail):
    """An event as it lies in the queue, with an id of its own each time."""
    (record,) = event(FUNCTION)["Records"]
    sent_at = instant(SystemClock().now())
    envelope = {"id": str(next(NUMBERS)), "time": sent_at, "detail-type": kind, "detail": detail}
    return json.dumps(json.loads(record["body"]) | envelope)


def happens(api, kind, /, **detail):
    """It is told, and acted on."""
    schema_of(kind).validate(detail)
    assert deliver(api, told(kind, **detail)) == []


def deliver(api, *bodies):
    (record,) = event(FUNCTION)["Records"]
    sent = {"Records": [record | {"messageId": f"message-{n}", "body": body} for n, body in enumerate(bodies)]}
    return [each["itemIdentifier"] for each in api.invoke(FUNCTION, sent)["batchItemFailures"]]


def registered(api, account="ann", **more):
    happens(api, "account.registered", **{"account_id": account, "kind": "freelancer", "plan": "basic", **more})


def plan_changed(api, plan, at, **more):
    happens(api, "account.plan_changed", account_id="ann", plan=plan, changed_at=at, **more)


def test_who_registers_has_an_account(api):
    registered(api, joined_on="2026-10-31")
    account = api.read()
    assert (account["kind"], account["plan"], account["balance"]) == ("freelancer", "basic", 50)
    assert account["cycle"]["starts_on"] == "2026-10-31"


def test_registering_opens_once_however_often_it_is_told(api):
    for _ in range(3):
        registered(api)
    assert api.balance() == 50


def test_an_account_is_opened_once_by_call_and_event_together(api):
    api.open()
    registered(api)
    registered(api, "bob")
    body = {"account_id": "bob", "kind": "freelancer", "plan": "basic"}
    assert api.call("open_account", key="k", body=body).refused == (409, "already_exists")
    assert (api.balance(), api.balance("bob")) == (50, 50)


def test_a_change_of_plan_that_is_told_twice_happens_once(api):
    api.open()
    for _ in range(2):
        plan_changed(api, "plus", "2026-11-22T10:00:00Z")
    assert api.read()["plan"] == "plus"
    assert api.balance() == 50 + 90


def test_a_change_of_plan_is_made_once_by_call_and_event_together(api):
    api.open()
    api.change(plan="plus")
    plan_changed(api, "plus", "2026-11-22T09:59:00Z")
    assert (api.read()["plan"], api.balance()) == ("plus", 140)


def test_a_change_of_plan_that_is_told_late_does_not_undo_a_newer_one(api, clock):
    api.open()
    clock.go(hours=5)
    plan_changed(api, "plus", "2026-11-22T14:00:00+02:00")
    plan_changed(api, "basic", "2026-11-22T11:00:00Z", effective="now")
    assert api.read()["plan"] == "plus"
    plan_changed(api, "basic", "2026-11-22T12:00:00.001Z", effective="now")
    assert api.read()["plan"] == "basic"


def test_a_change_of_plan_by_call_stands_against_an_older_event(api, clock):
    api.open()
    clock.go(hours=1)
    api.change(plan="plus")
    api.change(plan="basic", effective="now")
    plan_changed(api, "plus", "2026-11-22T10:30:00Z")
    assert api.read()["plan"] == "basic"


def event_time(envelope_time, kind, **detail):
    return json.dumps(json.loads(told(kind, account_id="ann", **detail)) | {"time": envelope_time})


def test_a_change_without_a_time_happened_when_it_was_sent_and_in_its_second_after_all_else(api, clock):
    clock.go(milliseconds=700)
    api.open()
    clock.go(milliseconds=200)
    assert deliver(api, event_time("2026-11-22T10:00:00Z", "account.plan_changed", plan="plus")) == []
    assert (api.read()["plan"], api.balance()) == ("plus", 140)
    clock.go(seconds=1)
    assert deliver(api, event_time("2026-11-22T09:59:59Z", "account.status_changed", status="suspended")) == []
    assert api.read()["status"] == "active"
    assert deliver(api, event_time("2026-11-22T10:00:00Z", "account.status_changed", status="suspended")) == []
    assert api.read()["status"] == "suspended"


def test_a_status_is_set_once_by_call_and_event_together(api):
    api.open()
    for status in ("suspended", "active", "suspended"):
        happens(api, "account.status_changed", account_id="ann", status=status, at=START)
        assert api.change(status=status).body["status"] == status


def test_who_registers_late_has_what_has_come_since(api):
    registered(api, joined_on="2026-10-20", at="2026-11-18T10:00:00Z")
    assert [(entry["at"][:10], entry["amount"]) for entry in reversed(api.entries())] == [
        ("2026-11-18", 40),
        ("2026-11-18", 10),
        ("2026-11-20", 10),
    ]


def test_news_of_more_than_five_minutes_ahead_is_not_taken(api):
    api.open()
    ahead = told("account.plan_changed", account_id="ann", plan="plus", at="2026-11-22T10:05:00.001Z")
    assert deliver(api, ahead) == ["message-0"]
    assert api.read()["plan"] == "basic"


@pytest.mark.parametrize("name", ["at", "changed_at"])
def test_a_clock_that_is_five_minutes_ahead_counts_as_now(api, name):
    api.open()
    happens(api, "account.plan_changed", account_id="ann", plan="plus", **{name: "2026-11-22T10:05:00Z"})
    assert api.read()["plan"] == "plus"


@pytest.mark.parametrize(
    ("version", "price"), [(1, 4), (1.0, 4.0), (json.loads("1e0"), json.loads("40e-1")), (0.0, 4), (-0.0, 4)]
)
def test_a_whole_number_is_one_however_it_is_written(api, version, price):
    happens(api, "job.changed", job_id="j-1", version=version, price=price)
    assert (repr(api.job().body["price"]), repr(api.job().body["version"])) == ("4", repr(int(version)))


@pytest.mark.parametrize("price", [True, 1.5, "4", None, 0, 0.0, 1_000_000.5, 1_000_001, 1e30, 1e308, float("inf")])
def test_what_the_schema_does_not_take_for_a_whole_number_is_not_acted_on(api, price):
    detail = {"job_id": "j-1", "version": 1, "price": price}
    assert not schema_of("job.changed").is_valid(detail)
    assert deliver(api, told("job.changed", **detail)) != []
    assert api.job().refused == (404, "job_not_found")


def test_an_interview_is_rewarded_once_however_it_is_told(api):
    api.open()
    first, second = api.spend(8, "s-1").body["id"], api.spend(8, "s-2").body["id"]
    for _ in range(2):
        happens(api, "interview.won", account_id="ann", spend_id=first)
    assert api.reward("interview", "k", spend_id=first).refused == (409, "already_awarded")
    assert api.reward("interview", second, spend_id=second).status == 201
    happens(api, "interview.won", account_id="ann", spend_id=second)
    assert api.balance() == 50 - 16 + 20


def test_interviews_beyond_the_cap_bring_nothing_and_are_done_with(api):
    api.open()
    for number in range(6):
        happens(api, "interview.won", account_id="ann", spend_id=api.spend(1, f"s-{number}").body["id"])
    assert api.balance() == 50 - 6 + 50


def refused_with(log):
    return [line.get("refused") for line in log.lines() if line["message"] == "acted on an event"]


def test_an_event_that_nothing_is_left_to_do_for_is_done_with(api, log):
    """Its rule gives nothing for it, whenever it came again."""
    api.open()
    api.open("acme", kind="agency")
    api.badge()
    week = api.entries()[0]["id"]
    dear = api.spend(12).body["id"]
    api.refund(dear)
    happens(api, "interview.won", account_id="ann", spend_id=dear)
    happens(api, "interview.won", account_id="ann", spend_id=week)
    happens(api, "interview.won", account_id="ann", spend_id=invited(api))
    happens(api, "account.rising_talent", account_id="acme")
    happens(api, "account.certified", account_id="acme", certificate="python")
    codes = ["already_refunded", "not_refundable", "not_refundable", "invalid_request", "invalid_request"]
    assert refused_with(log) == codes
    assert (api.balance(), api.balance("acme")) == (46, 0)


def invited(api):
    return api.propose(reference={"channel": "invitation"}).body["id"]


@pytest.mark.parametrize(
    ("key", "kind", "more"),
    [
        ("rising_talent", "account.rising_talent", {}),
        ("certification#python", "account.certified", {"certificate": "python"}),
    ],
)
def test_an_event_is_acted_on_whatever_keys_callers_have_used(api, key, kind, more):
    api.open()
    assert api.reward("certification", key, certificate="design").status == 201
    happens(api, kind, account_id="ann", **more)
    assert api.balance() == 50 + 5 + (30 if kind == "account.rising_talent" else 10)


def test_an_interview_by_event_is_acted_on_whatever_keys_callers_have_used(api):
    """Its refund and its reward have keys of their own."""
    api.open()
    first, second = api.spend(8, "s-1").body["id"], api.spend(8, "s-2").body["id"]
    assert api.reward("interview", f"interview#{second}", spend_id=first).status == 201
    happens(api, "interview.won", account_id="ann", spend_id=second)
    assert api.balance() == 50 - 16 + 20


def test_an_account_is_opened_by_event_whatever_key_a_caller_used_for_it(api, log):
    body = {"account_id": "ann", "kind": "freelancer", "plan": "basic"}
    assert api.call("open_account", key="account.registered", body=body).status == 201
    registered(api, plan="plus")
    assert refused_with(log) == ["already_exists"]
    assert (api.read()["plan"], api.balance()) == ("basic", 50)


def test_the_same_happening_with_other_details_changes_nothing(api, log):
    api.open()
    spend_id = api.spend(8).body["id"]
    for number, country in enumerate(["NZ", "PE"]):
        happens(api, "account.rising_talent", account_id="ann", country=country)
        happens(api, "account.certified", account_id="ann", certificate="python", score=number)
        happens(api, "interview.won", account_id="ann", spend_id=spend_id, at=f"2026-11-22T0{number}:00:00Z")
    assert refused_with(log)[3:] == ["idempotency_key_reused"] * 3
    assert api.balance() == 50 - 8 + 10 + 30 + 10


def test_an_interview_without_a_time_of_its_own_was_when_its_event_was_sent(api, clock):
    """Told five days late, with the week's 50 of four days before: it was in the same 7 days."""
    api.open()
    sent_at = instant(clock.at)
    spends = [api.spend(1, f"s-{number}").body["id"] for number in range(6)]
    late = [json.loads(told("interview.won", account_id="ann", spend_id=spend_id)) for spend_id in spends]
    clock.go(days=8)
    assert deliver(api, *[json.dumps(each | {"time": sent_at}) for each in late]) == []
    assert api.balance() == 50 - 6 + 50
    assert {entry["reference"]["at"] for entry in api.entries(type="refund")} == {sent_at}


@pytest.mark.parametrize("kind", ["interview.won", "account.rising_talent", "account.certified"])
def test_a_reward_that_would_lie_ahead_is_not_taken(api, kind):
    api.open()
    more = {"interview.won": {"spend_id": api.spend().body["id"]}, "account.certified": {"certificate": "python"}}
    ahead = told(kind, account_id="ann", at="2026-11-22T10:05:00.001Z", **more.get(kind, {}))
    assert deliver(api, ahead) == ["message-0"]
    assert api.entries(type="reward") == []


@pytest.mark.parametrize(("kind", "more"), [("rising_talent", {}), ("certified", {"certificate": "python"})])
def test_a_reward_that_is_told_late_lives_from_its_own_day_on(api, kind, more):
    api.open(joined_on="2026-10-22")
    happens(api, f"account.{kind}", account_id="ann", at="2026-11-01T09:00:00Z", **more)
    [entry] = api.entries(type="reward")
    assert (entry["lots"][0]["expires_on"], entry["at"]) == ("2027-11-02", "2026-11-22T10:00:00.000Z")


def test_rising_talent_and_certificates_are_rewarded_once_however_they_are_told(api):
    api.open()
    api.reward("rising_talent")
    for _ in range(2):
        happens(api, "account.rising_talent", account_id="ann")
        happens(api, "account.certified", account_id="ann", certificate="python")
    assert api.balance() == 50 + 30 + 10


def test_a_job_has_the_price_that_an_event_told(api):
    happens(api, "job.changed", job_id="j-1", version=3, size="small", scope="complex", budget_cents=50_000)
    assert api.job().body.items() >= {"job_id": "j-1", "price": 6, "status": "open", "version": 3}.items()
    happens(api, "job.changed", job_id="j-1", version=4, price=9, posted_at=NOON)
    assert api.job().body["price"] == 9


def test_the_newest_version_of_a_job_stands_in_whatever_order_it_is_told(api):
    versions = [{"version": number, "price": 10 + number} for number in (2, 4, 3, 4, 1)]
    for number, version in enumerate(versions):
        happens(api, "job.changed", job_id="events", **version)
        api.post("calls", **version)
        api.post("both", **version) if number % 2 else happens(api, "job.changed", job_id="both", **version)
    assert [api.job(job).body["price"] for job in ("events", "calls", "both")] == [14] * 3


def test_a_call_and_an_event_leave_the_same_job_and_the_other_then_changes_nothing(api):
    version = {"version": 1, "size": "small", "scope": "simple", "budget_cents": 7, "posted_at": NOON}
    api.post("called", **version)
    happens(api, "job.changed", job_id="told", **version)
    before = everything()
    called, told_ = (
        [item | {"pk": ..., "shard": ...} for item in before if item["pk"] == {"S": f"JOB#{job}"}]
        for job in ("called", "told")
    )
    assert called == told_
    assert len(called) == len(before) / 2
    api.post("told", **version)
    happens(api, "job.changed", job_id="called", **version)
    assert everything() == before


@pytest.mark.parametrize("happened", ["canceled", "removed"])
def test_a_job_that_ends_gives_its_proposals_back_once_by_call_and_event_together(api, clock, received, happened):
    api.open()
    api.post(price=7)
    api.propose()
    for _ in range(2):
        happens(api, f"job.{happened}", job_id="j-1")
        api.tell(happened)
    for _ in range(2):
        api.run("job_sweep")
        assert api.deliver("job_sweep", *received()) == []
        clock.go(minutes=10)
    assert (api.job().body["status"], api.balance()) == (happened, 50)
    assert [entry["reference"]["why"] for entry in api.entries(type="refund")] == [f"job_{happened}"]


@pytest.mark.parametrize("happened", ["expired", "filled"])
def test_a_job_that_ended_without_refunds_takes_no_more_proposals_and_keeps_those_it_has(api, received, happened):
    api.open()
    api.post(price=7)
    api.propose()
    for _ in range(2):
        happens(api, f"job.{happened}", job_id="j-1")
    assert (api.run("job_sweep"), received()) == ({"found": 0}, [])
    api.open("bob")
    assert api.propose("bob").refused == (409, "job_not_open")
    assert (api.balance(), api.balance("bob")) == (43, 50)


def test_the_first_end_of_a_job_stands_whatever_is_told_late(api):
    api.post(price=7)
    for late in ("filled", "canceled", "expired", "filled"):
        happens(api, f"job.{late}", job_id="j-1")
    happens(api, "job.changed", job_id="j-1", version=2, price=8)
    assert api.job().body.items() >= {"job_id": "j-1", "price": 8, "status": "filled", "version": 2}.items()


def test_a_removal_gives_back_however_the_job_had_ended_and_is_final(api, scheduled):
    api.open()
    api.propose(amount=7)
    for told_ in ("filled", "removed", "expired"):
        happens(api, f"job.{told_}", job_id="j-1")
    scheduled("job_sweep")
    assert (api.job().body["status"], api.balance()) == ("removed", 50)


def test_a_job_may_end_before_it_is_heard_of(api):
    happens(api, "job.canceled", job_id="j-1")
    happens(api, "job.changed", job_id="j-1", version=1, price=7)
    api.open()
    assert api.propose().refused == (409, "job_not_open")


def boosted(api, bid=10):
    """Ann has 50 Connects and boosts her proposal."""
    api.open()
    api.post(price=7)
    assert api.boost(bid).status == 201


def interacted(api, **more):
    happens(api, "job.interaction", job_id="j-1", **more)


@pytest.mark.parametrize(
    "named", [{"account_id": "ann"}, {"proposal_id": "p-ann"}, {"account_id": "ann", "proposal_id": "p-ann"}]
)
def test_an_interaction_captures_a_boost_once_by_call_and_event_together(api, named):
    boosted(api)
    for _ in range(2):
        interacted(api, **named)
        api.tell("interaction", **named)
    happens(api, "job.canceled", job_id="j-1")
    assert [(entry["type"], entry["amount"]) for entry in api.entries()][:2] == [("capture", 0), ("hold", -10)]
    assert (api.balance(), api.read()["held"]) == (40, 0)


def test_an_interaction_that_is_told_late_captures_no_boost_that_came_after_it(api, clock):
    early = "2026-11-22T10:00:00+00:00"
    clock.go(minutes=1)
    boosted(api)
    interacted(api, account_id="ann", interacted_at=early)
    assert api.read()["held"] == 10
    interacted(api, account_id="ann", interacted_at="2026-11-22T10:01:00Z")
    assert api.read()["held"] == 0


def test_an_interaction_after_the_end_of_its_job_changes_nothing(api):
    boosted(api)
    happens(api, "job.canceled", job_id="j-1")
    interacted(api, account_id="ann")
    assert (api.balance(), api.entries()[0]["type"]) == (50, "release")


@pytest.mark.parametrize("how", ["filled", "canceled"])
def test_the_end_of_a_job_ends_holds_once_by_call_and_event_together(api, how):
    boosted(api)
    for _ in range(2):
        happens(api, f"job.{how}", job_id="j-1")
        api.tell(how)
    ended = ("capture", 40) if how == "filled" else ("release", 50)
    assert (api.entries()[0]["type"], api.balance(), len(api.entries())) == (*ended, 4)


def test_what_comes_too_early_comes_again(api):
    spend = {"account_id": "ann", "spend_id": "s-1"}
    early = [
        told("account.plan_changed", account_id="ann", plan="plus", changed_at=START),
        told("interview.won", **spend),
        told("account.rising_talent", account_id="ann"),
        told("job.interaction", job_id="j-1", account_id="ann"),
    ]
    assert deliver(api, *early) == ["message-0", "message-1", "message-2", "message-3"]
    api.open()
    api.post(price=7)
    assert deliver(api, *early) == ["message-1"]


def test_an_event_for_which_there_is_no_time_comes_again_untouched(api, monkeypatch):
    event_ = told("account.registered", account_id="ann", kind="freelancer", plan="basic")
    with monkeypatch.context() as patch:
        patch.setattr(api, "left_ms", 5_000)
        assert deliver(api, event_) == ["message-0"]
    assert api.call("read_account").refused == (404, "account_not_found")
    assert deliver(api, event_) == []
    assert api.balance() == 50


@pytest.mark.parametrize(
    "poison",
    [
        "not JSON",
        "[]",
        told("account.deleted", account_id="ann"),
        told("account.registered", account_id="ann", kind="freelancer"),
        told("account.registered", account_id="a b", kind="freelancer", plan="basic"),
        told("account.registered", account_id=7, kind="freelancer", plan="basic"),
        told("account.registered", account_id="ann", kind="robot", plan="basic"),
        told("account.registered", account_id="ann", kind="freelancer", plan="basic", joined_on="22.11.2026"),
        told("account.registered", account_id="ann", kind="freelancer", plan="basic", joined_on="2026-02-30"),
        told("account.registered", account_id="ann", kind="freelancer", plan="basic", joined_on="2026-11-23"),
        told("account.plan_changed", account_id="bob", plan="plus"),
        told("account.plan_changed", account_id="bob", plan="plus", changed_at="yesterday"),
        told("account.plan_changed", account_id="bob", plan="plus", changed_at="2026-11-22T10:00:00"),
        told("account.plan_changed", account_id="bob", plan="plus", effective="later"),
        told("account.status_changed", account_id="bob"),
        told("account.status_changed", account_id="bob", status="frozen"),
        told("account.status_changed", account_id="bob", status="closed", at="now"),
        told("account.certified", account_id="bob", certificate="juggling"),
        told("interview.won", account_id="bob"),
        told("job.changed", version=1, price=7),
        told("job.changed", job_id="j 1", version=1, price=7),
        told("job.changed", job_id="j-1", price=7),
        told("job.changed", job_id="j-1", version="1", price=7),
        told("job.changed", job_id="j-1", version=-1, price=7),
        told("job.changed", job_id="j-1", version=True, price=7),
        told("job.changed", job_id="j-1", version=2**53, price=7),
        told("job.changed", job_id="j-1", version=1),
        told("job.changed", job_id="j-1", version=1, price=0),
        told("job.changed", job_id="j-1", version=1, price=1.5),
        told("job.changed", job_id="j-1", version=1, price=1_000_001),
        told("job.changed", job_id="j-1", version=1, price=7, budget_cents=-1),
        told("job.changed", job_id="j-1", version=1, size="small"),
        told("job.changed", job_id="j-1", version=1, size="huge", scope="simple"),
        told("job.changed", job_id="j-1", version=1, size="", scope="simple"),
        told("job.changed", job_id="j-1", version=1, size="x" * 65, price=7),
        told("job.changed", job_id="j-1", version=1, price=7, posted_at="2026-11-22"),
        told("job.changed", job_id="j-1", version=1, price=7, posted_at="1969-12-31T23:59:59Z"),
        *[told(f"job.{end}") for end in ("canceled", "removed", "expired", "filled")],
        *[told(f"job.{end}", job_id="j/1") for end in ("canceled", "removed", "expired", "filled")],
        told("job.open", job_id="j-1"),
        told("job.interaction", job_id="j-2"),
        told("job.interaction", job_id="j-2", account_id="a b"),
        told("job.interaction", account_id="ann"),
        told("job.interaction", job_id="j-2", account_id="ann", interacted_at="now"),
    ],
)
def test_poison_fails_alone_and_changes_nothing(api, poison):
    api.open("bob")
    api.post("j-2", price=7)
    before = everything()
    good = told("account.registered", account_id="carol", kind="agency", plan="plus")
    assert deliver(api, poison, good) == ["message-0"]
    assert [item for item in everything() if item["pk"] != {"S": "carol"}] == before
    assert api.read("carol")["kind"] == "agency"


def test_fields_that_are_not_known_yet_are_passed_over(api):
    registered(api, country="NZ")
    assert api.balance() == 50


def test_an_event_leaves_its_trace(api, log):
    registered(api)
    (line,) = [line for line in log.lines() if line["message"] == "acted on an event"]
    assert (line["type"], line.get("refused")) == ("account.registered", None)
    assert {entry["actor"]["S"] for entry in everything() if "actor" in entry} == {"event:marketplace", "system"}


def test_the_event_file_works(api):
    assert api.invoke(FUNCTION, event(FUNCTION)) == {"batchItemFailures": []}
    assert api.balance("bob") == 50


def test_there_is_a_schema_for_every_event_that_is_acted_on():
    assert {file.stem for file in INCOMING.glob("*.json")} == set(HANDLERS)
    for kind in HANDLERS:
        Draft202012Validator.check_schema(schema_of(kind).schema)
