"""Purchases: at most one charge whatever happens, and a charge always ends in its Connects.

After every test here, as after all others, charges and completed purchases match one to one.
"""

import json

import pytest

from shared.payments import NoAnswerError
from shared.sandbox.payments import SandboxProvider
from shared.store.errors import OutcomeUnknownError
from shared.store.purchases import Purchases
from shared.store.table import Table
from tests.faults import KilledError
from tests.functions.conftest import charges

RECONCILE = "purchase_reconcile"
NOTHING = 50
WITH_IT = 90


@pytest.fixture(autouse=True)
def ann(api):
    api.open()


@pytest.fixture
def inject(monkeypatch):
    """`inject(Table, "commit", before=error)` or `after=error`: the next call of it ends so, once."""

    def put(owner, method, *, before=None, after=None):
        original = getattr(owner, method)

        def once(*args, **kwargs):
            monkeypatch.setattr(owner, method, original)
            if before:
                raise before
            result = original(*args, **kwargs)
            if after:
                raise after
            return result

        monkeypatch.setattr(owner, method, once)

    return put


def purchases_in(api):
    return [entry["amount"] for entry in api.entries(type="purchase")]


@pytest.fixture
def reconcile(clock, scheduled):
    """Time passes, and a run of the schedule is carried out with all that it sends; tells how many it sent."""

    def run(**ahead):
        clock.go(**(ahead or {"minutes": 2}))
        return scheduled(RECONCILE)["purchases"]

    return run


def page(*purchases):
    return json.dumps({"purchases": [["ann", purchase_id] for purchase_id in purchases]})


def state_of(api, purchase_id):
    return api.call("read_purchase", path={"purchase_id": purchase_id}).body["status"]


# --- What the provider does


def test_a_purchase_is_charged_and_credited_in_one_request(api):
    bought = api.buy(sandbox="succeed")
    assert bought.status == 201
    assert {name: bought.body[name] for name in ("status", "quantity", "amount_cents", "currency")} == {
        "status": "completed",
        "quantity": 40,
        "amount_cents": 600,
        "currency": "USD",
    }
    entry = bought.body["entry"]
    assert (entry["type"], entry["amount"], entry["balance_after"]) == ("purchase", 40, WITH_IT)
    assert entry["lots"] == [{"expires_on": "2027-11-23", "paid": True, "amount": 40}]
    assert charges() == {bought.body["purchase_id"]: 600}


def test_a_purchase_is_read_as_it_was_answered(api):
    bought = api.buy()
    read = api.call("read_purchase", path={"purchase_id": bought.body["purchase_id"]})
    assert (read.status, read.body) == (200, bought.body)


def test_a_declined_card_is_not_charged_and_may_be_tried_again_with_the_same_key(api):
    assert api.buy(sandbox="decline").refused == (402, "payment_declined")
    assert charges() == {}
    again = api.buy(sandbox="succeed")
    assert (again.status, again.replayed) == (201, False)
    assert api.balance() == WITH_IT


def test_a_card_that_is_declined_every_time_is_charged_never(api):
    assert {api.buy(sandbox="decline").refused for _ in range(3)} == {(402, "payment_declined")}
    assert (charges(), api.balance()) == ({}, NOTHING)


def test_a_declined_purchase_is_named_and_shown_as_declined_with_its_reason(api):
    refused = api.buy(sandbox="decline")
    shown = api.call("read_purchase", path={"purchase_id": refused.body["purchase_id"]}).body
    assert (shown["status"], shown["declined_because"]) == ("declined", "the card was declined")
    assert "entry" not in shown


@pytest.mark.parametrize("behaviour", ["late", "timeout"])
def test_a_charge_without_an_answer_is_pending_until_the_reconciliation(api, reconcile, behaviour):
    pending = api.buy(sandbox=behaviour)
    assert (pending.status, pending.body["status"]) == (202, "pending")
    assert "entry" not in pending.body
    assert api.balance() == NOTHING
    assert reconcile() == 1
    assert (state_of(api, pending.body["purchase_id"]), api.balance()) == ("completed", WITH_IT)
    assert purchases_in(api) == [40]


@pytest.mark.parametrize("behaviour", ["late", "timeout"])
def test_a_pending_purchase_sent_again_is_answered_as_the_first_time(api, reconcile, behaviour):
    first = api.buy(sandbox=behaviour)
    while_pending = api.buy(sandbox="succeed")
    reconcile()
    when_completed = api.buy(sandbox="succeed")
    for again in (while_pending, when_completed):
        assert (again.status, again.text, again.replayed) == (202, first.text, True)
    assert api.balance() == WITH_IT


def test_a_pending_purchase_keeps_its_key_for_itself(api, reconcile):
    api.buy(40, sandbox="late")
    assert api.buy(50).refused == (422, "idempotency_key_reused")
    reconcile()
    assert api.buy(50).refused == (422, "idempotency_key_reused")


def test_no_reconciliation_comes_before_a_minute_has_passed(api, reconcile):
    api.buy(sandbox="late")
    assert reconcile(seconds=59) == 0
    assert reconcile(seconds=1) == 1
    assert api.balance() == WITH_IT


def test_reconciliations_that_come_twice_complete_once(api, reconcile):
    api.buy(sandbox="timeout")
    assert [reconcile() for _ in range(3)] == [1, 0, 0]
    assert (purchases_in(api), api.balance()) == ([40], WITH_IT)


def test_reconciliations_alongside_each_other_complete_once(api, clock, monkeypatch):
    """Of a message that comes twice the second is done as a whole between the first's asking and its writing."""
    bought = page(api.buy(sandbox="late").body["purchase_id"])
    clock.go(minutes=2)
    give_up = SandboxProvider.give_up

    def give_up_slowly(provider, ref, charge):
        result = give_up(provider, ref, charge)
        monkeypatch.setattr(SandboxProvider, "give_up", give_up)
        assert api.deliver(RECONCILE, bought) == []
        return result

    monkeypatch.setattr(SandboxProvider, "give_up", give_up_slowly)
    assert api.deliver(RECONCILE, bought) == []
    assert (purchases_in(api), api.balance()) == ([40], WITH_IT)


def test_a_request_sent_again_alongside_a_reconciliation_completes_once(api, reconcile, inject, monkeypatch):
    inject(SandboxProvider, "confirm", after=KilledError())
    with pytest.raises(KilledError):
        api.buy()
    give_up = SandboxProvider.give_up

    def give_up_slowly(provider, ref, charge):
        assert api.buy().status == 201
        return give_up(provider, ref, charge)

    monkeypatch.setattr(SandboxProvider, "give_up", give_up_slowly)
    reconcile()
    assert (purchases_in(api), api.balance()) == ([40], WITH_IT)


def test_a_provider_that_stays_silent_is_asked_again_later(api, reconcile, monkeypatch):
    pending = api.buy(sandbox="late")

    def silent(*_):
        raise NoAnswerError

    with monkeypatch.context() as patch:
        patch.setattr(SandboxProvider, "give_up", silent)
        assert reconcile() == 1
    assert state_of(api, pending.body["purchase_id"]) == "pending"
    assert reconcile(seconds=30) == 0
    assert reconcile() == 1
    assert api.balance() == WITH_IT


def test_a_purchase_that_fails_to_reconcile_does_not_keep_the_others_and_comes_again(api, clock, received, monkeypatch):
    bad = api.buy(10, "bad", sandbox="late").body["purchase_id"]
    api.buy(20, "good", sandbox="late")
    give_up = SandboxProvider.give_up

    def broken_for_one(provider, ref, charge):
        if ref.startswith(bad):
            raise RuntimeError("the provider speaks in riddles")
        return give_up(provider, ref, charge)

    clock.go(minutes=2)
    api.run(RECONCILE)
    with monkeypatch.context() as patch:
        patch.setattr(SandboxProvider, "give_up", broken_for_one)
        [message] = received()
        assert api.deliver(RECONCILE, message) == ["message-0"]
    assert purchases_in(api) == [20]
    assert api.deliver(RECONCILE, message) == []
    assert sorted(purchases_in(api)) == [10, 20]


def test_a_purchase_whose_message_is_lost_is_asked_after_again_within_minutes(api, clock, received, reconcile):
    api.buy(sandbox="late")
    clock.go(minutes=2)
    api.run(RECONCILE)
    received()
    assert [reconcile(minutes=1) for _ in range(5)] == [0, 0, 0, 0, 1]
    assert purchases_in(api) == [40]


def test_many_purchases_are_asked_after_ten_a_message(api, clock, received):
    bought = {api.buy(10, f"buy-{number}", sandbox="late").body["purchase_id"] for number in range(12)}
    clock.go(minutes=2)
    assert api.run(RECONCILE) == {"purchases": 12}
    pages = [json.loads(body)["purchases"] for body in received()]
    assert [len(page) for page in pages] == [10, 2]
    assert {purchase_id for page in pages for _, purchase_id in page} == bought


def test_a_message_for_which_there_is_no_time_comes_again_untouched(api, clock, monkeypatch):
    bought = page(api.buy(sandbox="late").body["purchase_id"])
    clock.go(minutes=2)
    with monkeypatch.context() as patch:
        patch.setattr(api, "left_ms", 5_000)
        assert api.deliver(RECONCILE, bought) == ["message-0"]
    assert purchases_in(api) == []
    assert api.deliver(RECONCILE, bought) == []
    assert purchases_in(api) == [40]


def test_a_message_whose_time_runs_out_comes_again_for_the_rest(api, clock, monkeypatch):
    """The provider takes its time with each."""
    bought = [api.buy(10, f"buy-{number}", sandbox="late").body["purchase_id"] for number in range(3)]
    clock.go(minutes=2)
    give_up = SandboxProvider.give_up

    def slow(provider, ref, charge):
        api.context.left_ms = 5_000 if ref.startswith(bought[1]) else 60_000
        return give_up(provider, ref, charge)

    monkeypatch.setattr(SandboxProvider, "give_up", slow)
    assert api.deliver(RECONCILE, page(*bought)) == ["message-0"]
    assert purchases_in(api) == [10, 10]
    monkeypatch.setattr(SandboxProvider, "give_up", give_up)
    assert api.deliver(RECONCILE, page(*bought)) == []
    assert purchases_in(api) == [10] * 3


def test_a_purchase_tells_how_long_it_has_been_pending_and_not_since_it_was_last_asked_after(
    api, clock, log, reconcile, monkeypatch
):
    def silent(*_):
        raise NoAnswerError

    api.buy(sandbox="late")
    with monkeypatch.context() as patch:
        patch.setattr(SandboxProvider, "give_up", silent)
        for _ in range(6):
            reconcile(hours=12, minutes=1)
        log.metrics()
        clock.go(hours=12, minutes=1)
        reconcile(seconds=0)
    told = log.metrics()
    waited = 7 * (12 * 60 + 1)
    assert (told["OldestPendingPurchaseMinutes"], told["OldestDueHours"]) == ([waited], [waited / 60])
    reconcile(hours=2)
    assert "OldestPendingPurchaseMinutes" not in log.metrics()


def test_a_purchase_that_fails_tells_how_long_it_has_been_pending_too(api, clock, log, monkeypatch):
    bought = page(api.buy(sandbox="late").body["purchase_id"])
    clock.go(minutes=20)
    log.metrics()
    with monkeypatch.context() as patch:
        patch.setattr(SandboxProvider, "give_up", lambda *_: 1 / 0)
        assert api.deliver(RECONCILE, bought) == ["message-0"]
    assert log.metrics()["OldestPendingPurchaseMinutes"] == [20]


# --- A process that dies, at every step


STEPS = {
    "before the purchase is written": (Purchases, "save", "before"),
    "after the purchase is written": (Purchases, "save", "after"),
    "before the payment is named": (SandboxProvider, "prepare", "before"),
    "after the payment is named": (SandboxProvider, "prepare", "after"),
    "before the charge": (SandboxProvider, "confirm", "before"),
    "after the charge": (SandboxProvider, "confirm", "after"),
    "before the credit": (Table, "commit", "before"),
    "after the credit": (Table, "commit", "after"),
}
CHARGED = ["after the charge", "before the credit", "after the credit"]


@pytest.fixture(params=STEPS)
def died(request, api, inject):
    """A purchase whose process died at a step of it."""
    owner, method, when = STEPS[request.param]
    inject(owner, method, **{when: KilledError()})
    with pytest.raises(KilledError):
        api.buy()
    return request.param


def test_sent_again_after_the_process_died_it_is_done_once(api, died):
    assert api.buy().status == 201
    assert api.buy().replayed
    assert (purchases_in(api), api.balance()) == ([40], WITH_IT), died


def test_never_sent_again_it_ends_with_charge_and_connects_or_with_neither(api, reconcile, died):
    reconcile()
    bought = died in CHARGED
    assert (len(charges()), api.balance()) == ((1, WITH_IT) if bought else (0, NOTHING))
    assert reconcile(hours=2) == 0


def test_sent_again_after_the_reconciliation_it_is_still_done_once(api, reconcile, died):
    reconcile()
    assert api.buy().status == 201
    assert (purchases_in(api), api.balance()) == ([40], WITH_IT), died


def test_a_charge_that_the_reconciliation_gave_up_cannot_go_through_later(api, reconcile, monkeypatch):
    confirm = SandboxProvider.confirm

    def arrive_late(*sent, **more):
        reconcile()
        return confirm(*sent, **more)

    monkeypatch.setattr(SandboxProvider, "confirm", arrive_late)
    assert api.buy().refused == (402, "payment_declined")
    assert (charges(), api.balance()) == ({}, NOTHING)


# --- A table or a provider that fails and comes back


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_table_whose_answer_is_lost_at_the_credit_is_asked_again(api, inject, when):
    inject(Table, "commit", **{when: OutcomeUnknownError("no answer")})
    bought = api.buy()
    assert (bought.status, bought.replayed) == (201, False)
    assert (purchases_in(api), api.balance()) == ([40], WITH_IT)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_table_whose_answer_is_lost_at_the_purchase_is_asked_again(api, inject, when):
    inject(Purchases, "save", **{when: OutcomeUnknownError("no answer")})
    assert api.buy().status == 201
    assert (purchases_in(api), api.balance()) == ([40], WITH_IT)


def test_a_table_that_is_away_after_the_charge_leaves_the_rest_to_the_reconciliation(api, reconcile, monkeypatch):
    def away(*_, **__):
        raise OutcomeUnknownError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(Table, "commit", away)
        patch.setattr("shared.aws.wiring.ANSWER_WITHIN_S", 0.3)
        pending = api.buy()
    assert (pending.status, api.balance()) == (202, NOTHING)
    reconcile()
    assert (purchases_in(api), api.balance()) == ([40], WITH_IT)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_provider_that_breaks_is_a_500_that_ends_well(api, reconcile, inject, when):
    inject(SandboxProvider, "confirm", **{when: RuntimeError("502 Bad Gateway from 10.1.2.3")})
    broken = api.buy()
    assert broken.refused == (500, "internal_error")
    assert "10.1.2.3" not in broken.text
    reconcile()
    assert len(purchases_in(api)) == len(charges()) == (1 if when == "after" else 0)


def test_an_account_that_is_frozen_between_charge_and_credit_gets_what_it_paid_for(api, reconcile):
    api.open("acme", kind="agency", plan="plus")
    api.buy(account="acme", sandbox="late")
    api.change("acme", plan="basic", effective="now")
    reconcile()
    assert api.balance("acme") == 40


# --- The sandbox's switch


def test_a_behaviour_that_the_sandbox_does_not_know_is_refused(api):
    refused = api.buy(sandbox="explode")
    assert refused.refused == (400, "invalid_request")
    assert refused.body["errors"][0]["loc"] == "header.X-Sandbox-Payment"


@pytest.mark.parametrize("sandbox", [None, "succeed", "explode"])
def test_outside_the_sandbox_a_purchase_without_a_provider_is_a_500_and_charges_nothing(api, log, restart, sandbox):
    restart(STAGE="production", SANDBOX_TABLE_NAME=None)
    assert api.buy(sandbox=sandbox).refused == (500, "internal_error")
    assert "no payment provider is connected for the stage production" in log.text
    assert (charges(), api.balance()) == ({}, NOTHING)
