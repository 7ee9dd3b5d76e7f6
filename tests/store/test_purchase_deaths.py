"""A purchase whose process dies, stands still, or meets others, at each of its steps.

It takes five: the purchase is put, its payment prepared, the payment's name stored, the payment confirmed, and the
Connects credited. After every test here, as after all others, charges and completed purchases match one to one.
"""

import time
from contextlib import suppress
from datetime import timedelta
from itertools import permutations

import pytest

from shared.ledger.errors import (
    AccountClosedError,
    AccountFrozenError,
    AccountSuspendedError,
    BusyError,
    PaymentDeclinedError,
)
from shared.ledger.model import EntryType, Kind, Plan, Status
from shared.ledger.purchases import PurchaseState
from shared.payments import Payment, PaymentState, charge_of
from shared.sandbox.payments import Behaviour
from shared.services.purchases import PAYMENT_OF, PURCHASES, reconcile
from shared.services.views import purchase_view
from shared.store.purchases import DuePurchase
from tests.driver import RecordingQueue, deadline
from tests.faults import CONFLICT, PUT, THROTTLED, TRANSACT, KilledError, passes
from tests.invariants import Contents
from tests.providers import Instead, silent

COMPLETED, PENDING, DECLINED = PurchaseState.COMPLETED, PurchaseState.PENDING, PurchaseState.DECLINED
MINUTE = timedelta(minutes=1)


@pytest.fixture
def driver(driver):
    driver.open()
    return driver


@pytest.fixture
def succeeds(provider):
    return provider.that(Behaviour.SUCCEED)


def the_purchase(driver):
    [purchase] = Contents(driver.table).purchases("ann")
    return purchase


def bought_amounts(driver):
    return [entry.amount for entry in driver.journal() if entry.type is EntryType.PURCHASE]


def killed(*_, **__):
    raise KilledError


def then(act, happens):
    """``act``, and then something else, before its caller has the answer."""

    def both(*asked, **more):
        answer = act(*asked, **more)
        happens()
        return answer

    return both


def first(happens, act):
    """Something else, and then ``act``."""

    def both(*asked, **more):
        happens()
        return act(*asked, **more)

    return both


def dies_when_it_was_sent(send):
    send()
    raise KilledError


# --- Killed at each point


def put(driver, succeeds, _):
    driver.buy(40, Instead(succeeds, prepare=killed))


def prepared(driver, succeeds, _):
    driver.buy(40, Instead(succeeds, prepare=then(succeeds.prepare, killed)))


def named(driver, succeeds, _):
    driver.buy(40, Instead(succeeds, confirm=killed))


def confirmed(driver, succeeds, _):
    driver.buy(40, Instead(succeeds, confirm=then(succeeds.confirm, killed)))


def credited(driver, succeeds, faults):
    faults.on(TRANSACT, dies_when_it_was_sent)
    driver.buy(40, succeeds)


POINTS = [put, prepared, named, confirmed, credited]


@pytest.fixture(params=POINTS)
def died(request, driver, succeeds, faults):
    """After which step the process of a purchase died."""
    with pytest.raises(KilledError):
        request.param(driver, succeeds, faults)
    return request.param


def retry(driver, succeeds):
    assert driver.buy(40, succeeds).purchase.state is COMPLETED


def event(driver, succeeds):
    driver.tell(the_purchase(driver).charge_id, succeeds)


def reconciliation(driver, succeeds):
    driver.reconcile(the_purchase(driver).purchase_id, succeeds)


@pytest.mark.parametrize("order", list(permutations([retry, event, reconciliation])))
@pytest.mark.usefixtures("died")
def test_killed_at_any_point_and_continued_in_any_order_and_twice_it_is_one_charge_and_one_lot(
    driver, provider, succeeds, order
):
    for each in (*order, *order):
        each(driver, succeeds)
    assert (len(provider.charges), bought_amounts(driver), driver.balance()) == (1, [40], 40)
    assert the_purchase(driver).state is COMPLETED


@pytest.mark.parametrize("continues", [event, reconciliation])
def test_killed_and_never_sent_again_it_ends_with_charge_and_connects_or_with_neither(
    driver, provider, succeeds, died, continues
):
    continues(driver, succeeds)
    reconciliation(driver, succeeds)
    charged = died in {confirmed, credited}
    assert (len(provider.charges), bought_amounts(driver)) == ((1, [40]) if charged else (0, []))
    assert the_purchase(driver).state is (COMPLETED if charged else DECLINED)


@pytest.mark.parametrize("dies_after", [put, prepared])
def test_of_a_payment_without_a_stored_name_the_provider_is_asked_nothing(driver, succeeds, faults, dies_after):
    with pytest.raises(KilledError):
        dies_after(driver, succeeds, faults)
    nobody = Instead(succeeds, look=killed, give_up=killed, confirm=killed)
    assert driver.tell(the_purchase(driver).charge_id, nobody) is None
    assert driver.reconcile(the_purchase(driver).purchase_id, nobody) is DECLINED


# --- One that wakes late


@pytest.fixture(params=["prepared", "named", "confirmed"])
def zombie(request, succeeds):
    """A provider at which a request stands still, at one of its steps, while something else happens."""
    return lambda happens: {
        "prepared": Instead(succeeds, prepare=then(succeeds.prepare, happens)),
        "named": Instead(succeeds, confirm=first(happens, succeeds.confirm)),
        "confirmed": Instead(succeeds, confirm=then(succeeds.confirm, happens)),
    }[request.param]


def test_whoever_wakes_after_the_reconciliation_charges_nothing_that_was_given_up(driver, provider, succeeds, zombie):
    standing = zombie(lambda: reconciliation(driver, succeeds))
    try:
        answered = driver.buy(40, standing).purchase.state
    except PaymentDeclinedError:
        answered = DECLINED
    assert (answered, len(provider.charges)) in [(DECLINED, 0), (COMPLETED, 1)]
    retry(driver, succeeds)
    assert (len(provider.charges), bought_amounts(driver)) == (1, [40])


def test_whoever_wakes_after_the_next_attempt_answers_by_that_one(driver, provider, succeeds, zombie):
    def meanwhile():
        reconciliation(driver, succeeds)
        retry(driver, succeeds)

    assert driver.buy(40, zombie(meanwhile)).purchase.state is COMPLETED
    assert (len(provider.charges), bought_amounts(driver)) == (1, [40])


def test_whoever_wakes_while_the_next_attempt_is_being_paid_leaves_it_alone(driver, provider, succeeds, zombie):
    def meanwhile():
        reconciliation(driver, succeeds)
        if the_purchase(driver).state is DECLINED:
            with pytest.raises(KilledError):
                named(driver, succeeds, None)

    with suppress(BusyError):
        driver.buy(40, zombie(meanwhile))
    retry(driver, succeeds)
    assert (len(provider.charges), bought_amounts(driver)) == (1, [40])


def test_two_that_name_one_purchase_pay_by_the_name_that_was_stored_first(driver, provider, succeeds):
    """Each has prepared a payment of its own, as a provider whose idempotency keys have lapsed lets it."""
    other = Instead(succeeds, prepare=lambda charge: f"{succeeds.prepare(charge)}-another")

    def meanwhile():
        retry(driver, succeeds)

    slow = Instead(succeeds, prepare=then(other.prepare, meanwhile))
    assert driver.buy(40, slow).purchase.ref == the_purchase(driver).charge_id
    assert len(provider.charges) == 1


# --- What is answered, and answered again


def test_a_charge_that_could_not_be_credited_in_time_is_pending_and_so_is_each_repeat(driver, faults, succeeds):
    faults.on(TRANSACT, *[CONFLICT] * 9)
    pending = driver.buy(40, succeeds, by=time.monotonic())
    faults.calm()
    repeats = [driver.buy(40, succeeds)]
    assert driver.reconcile(pending.purchase.purchase_id, succeeds) is COMPLETED
    repeats.append(driver.buy(40, succeeds))
    assert (pending.purchase.state, pending.replayed) == (PENDING, False)
    assert [(purchase_view(each), each.replayed) for each in repeats] == [(purchase_view(pending), True)] * 2


def test_a_charge_of_which_not_even_that_can_be_stored_is_busy_and_goes_on_with_the_next_request(
    driver, faults, succeeds
):
    faults.on(TRANSACT, *[CONFLICT] * 9)
    faults.on(PUT, passes, passes, *[THROTTLED] * 9)
    with pytest.raises(BusyError, match="may have gone through or not") as busy:
        driver.buy(40, succeeds, by=time.monotonic())
    faults.calm()
    bought = driver.buy(40, succeeds)
    assert (bought.purchase.purchase_id, bought.purchase.state) == (busy.value.details["purchase_id"], COMPLETED)
    assert not bought.replayed
    assert driver.buy(40, succeeds).replayed


def test_a_pending_purchase_that_was_declined_since_is_pending_to_whoever_sends_it_again(driver, provider, succeeds):
    unheard = Instead(succeeds, confirm=silent)
    pending = driver.buy(40, unheard)
    assert driver.reconcile(pending.purchase.purchase_id, succeeds) is DECLINED
    again = driver.buy(40, succeeds)
    assert (purchase_view(again), again.replayed) == (purchase_view(pending), True)
    assert (the_purchase(driver).state, provider.charges) == (DECLINED, [])


def test_a_request_is_completed_for_ever_also_if_the_reconciliation_found_its_charge_in_progress(driver, succeeds):
    with pytest.raises(KilledError):
        named(driver, succeeds, None)
    in_progress = Instead(succeeds, give_up=lambda *_: Payment(PaymentState.IN_PROGRESS))
    meanwhile = first(lambda: reconciliation(driver, in_progress), succeeds.confirm)
    bought = driver.buy(40, Instead(succeeds, confirm=meanwhile))
    again = driver.buy(40, succeeds)
    assert [(each.purchase.state, each.replayed) for each in (bought, again)] == [(COMPLETED, False), (COMPLETED, True)]
    assert again.entry == bought.entry


def test_of_two_requests_under_one_key_the_second_is_answered_as_the_first_was(driver, succeeds):
    """The first is answered ``pending`` while the second, which has found it charged, is about to say so."""

    def answer_the_first():
        in_progress = Instead(succeeds, confirm=lambda *_, **__: Payment(PaymentState.IN_PROGRESS))
        assert driver.buy(40, in_progress).purchase.state is PENDING

    second = driver.buy(40, Instead(succeeds, confirm=then(succeeds.confirm, answer_the_first)))
    assert (second.purchase.state, the_purchase(driver).state) == (PENDING, COMPLETED)


def test_while_a_payment_cannot_be_named_nothing_happened(driver, provider, succeeds):
    with pytest.raises(BusyError, match="Nothing was charged"):
        driver.buy(40, Instead(succeeds, prepare=silent))
    assert (provider.charges, driver.balance()) == ([], 0)
    assert driver.reconcile(the_purchase(driver).purchase_id, Instead(None)) is DECLINED
    retry(driver, succeeds)


def test_a_declined_payment_that_could_not_be_given_up_is_pending(driver, provider):
    """It could still be confirmed with another card."""
    declines = provider.that(Behaviour.DECLINE)
    pending = driver.buy(40, Instead(declines, give_up=silent)).purchase
    assert pending.state is PENDING
    assert driver.reconcile(pending.purchase_id, declines) is DECLINED
    assert the_purchase(driver).declined_because == "the card was declined"


@pytest.mark.parametrize("when", ["by the buyer", "by an event", "by the reconciliation"])
def test_another_charge_than_was_asked_for_is_put_under_review_and_credits_nothing(driver, succeeds, when):
    def wrong(*_, **__):
        return Payment(PaymentState.WRONG, provider_charge="ch_1")

    strange = Instead(succeeds, **dict.fromkeys(("confirm", "look", "give_up"), wrong))
    pending = driver.buy(40, strange if when == "by the buyer" else Instead(succeeds, confirm=silent))
    if when == "by an event":
        driver.tell(pending.purchase.charge_id, strange)
    if when == "by the reconciliation":
        driver.reconcile(pending.purchase.purchase_id, strange)
    purchase = the_purchase(driver)
    assert (purchase.state, purchase.provider_charge, purchase.due_at) == (PurchaseState.UNDER_REVIEW, "ch_1", None)
    assert driver.balance() == 0
    again = driver.buy(40, succeeds)
    assert (purchase_view(again), again.replayed) == (purchase_view(pending), True)


def test_whoever_finds_a_purchase_under_review_is_answered_pending_for_ever(driver, succeeds):
    with pytest.raises(KilledError):
        named(driver, succeeds, None)
    wrong = Instead(succeeds, give_up=lambda *_: Payment(PaymentState.WRONG))
    assert driver.reconcile(the_purchase(driver).purchase_id, wrong) is PurchaseState.UNDER_REVIEW
    assert [driver.buy(40, succeeds).purchase.state for _ in range(2)] == [PENDING, PENDING]
    assert the_purchase(driver).state is PurchaseState.UNDER_REVIEW


def test_of_every_state_it_is_known_what_the_payment_of_a_decided_purchase_is():
    assert set(PAYMENT_OF) == set(PurchaseState) - {PENDING, PurchaseState.REFUNDED_TO_CARD}  # which is never stored


# --- An account that may not buy any more


def freeze(driver):
    driver.change_plan(Plan.BASIC, account="acme", at_once=True)


def suspend(driver):
    driver.change_status(Status.SUSPENDED, account="acme")


def close(driver):
    driver.change_status(Status.CLOSED, account="acme")


ENDS = [(freeze, AccountFrozenError), (suspend, AccountSuspendedError), (close, AccountClosedError)]


@pytest.fixture
def acme(driver):
    driver.open("acme", kind=Kind.AGENCY, plan=Plan.PLUS)
    return driver


def of_acme(driver):
    [purchase] = Contents(driver.table).purchases("acme")
    return purchase


@pytest.mark.parametrize(("ends", "refusal"), ENDS)
def test_an_account_that_may_not_buy_any_more_right_before_the_charge_is_not_charged(
    acme, provider, succeeds, ends, refusal
):
    with pytest.raises(refusal):
        acme.buy(40, Instead(succeeds, prepare=then(succeeds.prepare, lambda: ends(acme))), account="acme")
    assert (provider.charges, of_acme(acme).state) == ([], DECLINED)
    with pytest.raises(refusal):
        acme.buy(40, succeeds, account="acme")


def test_once_it_may_buy_again_its_key_does(acme, provider, succeeds):
    with pytest.raises(AccountFrozenError):
        acme.buy(40, Instead(succeeds, prepare=then(succeeds.prepare, lambda: freeze(acme))), account="acme")
    acme.change_plan(Plan.PLUS, account="acme")
    assert acme.buy(40, succeeds, account="acme").purchase.state is COMPLETED
    assert len(provider.charges) == 1


@pytest.mark.parametrize(("ends", "_"), ENDS)
def test_what_was_charged_before_the_account_ended_is_credited_when_it_is_sent_again(acme, succeeds, ends, _):
    with pytest.raises(KilledError):
        acme.buy(40, Instead(succeeds, confirm=then(succeeds.confirm, killed)), account="acme")
    ends(acme)
    assert acme.buy(40, succeeds, account="acme").purchase.state is COMPLETED
    assert acme.balance("acme") == 40


def test_a_downgrade_that_fell_due_and_is_not_written_yet_counts(acme, succeeds):
    acme.change_plan(Plan.BASIC, account="acme")
    acme.at(acme.clock.at + timedelta(days=40))
    with pytest.raises(AccountFrozenError):
        acme.buy(40, succeeds, account="acme")


# --- Without an event


def run_the_schedule(driver, provider):
    """As it runs each minute: what is due is sent, and each of it looked at."""
    queue = RecordingQueue()
    if driver.dispatch(PURCHASES, queue):
        driver.reconcile(the_purchase(driver).purchase_id, provider)


@pytest.mark.parametrize("minutes", [1, 2, 5, 16, 32, 59, 61, 200])
def test_connects_come_within_minutes_of_the_charge_without_any_event(driver, succeeds, minutes):
    driver.buy(40, Instead(succeeds, confirm=lambda *_, **__: Payment(PaymentState.IN_PROGRESS)))
    charged_at = driver.clock.at + minutes * MINUTE

    def in_time(ref, charge):
        if driver.clock.at < charged_at:
            return Payment(PaymentState.IN_PROGRESS)
        return succeeds.confirm(ref, charge, present=True)

    while the_purchase(driver).state is PENDING:
        driver.at(driver.clock.at + MINUTE)
        run_the_schedule(driver, Instead(succeeds, give_up=in_time))
    assert driver.clock.at - charged_at <= 5 * MINUTE
    assert driver.balance() == 40


# --- When the bank asks the buyer


@pytest.fixture
def asks(provider):
    return provider.that(Behaviour.ACTION)


def test_a_buyer_who_is_asked_has_the_page_the_secret_and_until_when(driver, asks):
    bought = driver.buy(40, asks)
    action = purchase_view(bought)["action"]
    assert bought.purchase.state is PENDING
    assert action["url"].startswith("https://")
    assert action["client_secret"]
    assert action["expires_at"] == "2026-01-15T12:15:00.000Z"


def test_no_secret_of_a_payment_is_stored(driver, asks):
    secret = driver.buy(40, asks).action.client_secret
    items = driver.table.client.scan(TableName=driver.table.name)["Items"]
    assert secret not in str(items)


def test_a_repeat_shows_what_is_to_be_done_while_it_is(driver, asks):
    first, again = driver.buy(40, asks), driver.buy(40, asks)
    assert (purchase_view(again), again.replayed) == (purchase_view(first), True)
    driver.at(driver.clock.at + MINUTE)
    assert "action" not in purchase_view(driver.buy(40, asks)), "the buyer has agreed"
    driver.tell(first.purchase.charge_id, asks)
    assert "action" not in purchase_view(driver.buy(40, asks))


def test_while_the_provider_does_not_answer_a_repeat_shows_no_action(driver, asks, succeeds):
    driver.buy(40, asks)
    again = driver.buy(40, Instead(asks, look=silent))
    assert (again.purchase.state, again.action) == (PENDING, None)
    driver.tell(again.purchase.charge_id, succeeds)


def test_a_buyer_who_agrees_gets_the_connects_within_two_minutes_without_any_event(driver, asks):
    bought = driver.buy(40, asks)
    agrees_at = driver.clock.at + MINUTE
    while the_purchase(driver).state is PENDING:
        driver.at(driver.clock.at + MINUTE)
        run_the_schedule(driver, asks)
    assert driver.clock.at - agrees_at <= MINUTE
    assert (driver.balance(), bought.purchase.state) == (40, PENDING)


def test_an_event_or_a_look_while_the_buyer_is_asked_leaves_the_payment_alone(driver, asks):
    bought = driver.buy(40, asks)
    before = the_purchase(driver)
    driver.tell(bought.purchase.charge_id, asks)
    assert the_purchase(driver) == before
    driver.at(driver.clock.at + MINUTE)
    assert driver.reconcile(bought.purchase.purchase_id, asks) is COMPLETED


def test_a_buyer_who_never_answers_is_given_up_in_the_end_and_charged_never(driver, provider, succeeds):
    abandons = provider.that(Behaviour.ABANDON)
    driver.buy(40, abandons)
    ends = driver.clock.at + 15 * MINUTE
    while the_purchase(driver).state is PENDING:
        driver.at(driver.clock.at + MINUTE)
        run_the_schedule(driver, abandons)
    assert (driver.clock.at, provider.charges) == (ends, [])
    assert the_purchase(driver).declined_because == "the buyer did not answer the bank in time"
    assert driver.buy(40, succeeds).purchase.state is PENDING, "as it was answered"


def test_a_buyer_who_fails_at_the_bank_is_declined_by_the_event(driver, provider):
    abandons = provider.that(Behaviour.ABANDON)
    bought = driver.buy(40, abandons)
    failed = Instead(abandons, look=lambda *_: Payment(PaymentState.DECLINED, "the bank said no"))
    assert driver.tell(bought.purchase.charge_id, failed).state is DECLINED
    assert the_purchase(driver).declined_because == "the bank said no"
    assert provider.charges == []


@pytest.mark.parametrize("behaviour", [Behaviour.ACTION, Behaviour.ABANDON])
def test_where_a_service_buys_the_bank_s_question_is_a_decline(driver, provider, behaviour):
    with pytest.raises(PaymentDeclinedError, match="the buyer, who is not there"):
        driver.buy(40, provider.that(behaviour), present=False)
    assert (provider.charges, the_purchase(driver).state) == ([], DECLINED)


# --- What an earlier release left


def left_by_the_release_before(driver):
    """A purchase that is pending, as a release wrote it that charged in one step."""
    item = {
        "pk": {"S": "ann"},
        "sk": {"S": "PURCHASE#p"},
        "actor": {"S": "ann"},
        "amount_cents": {"N": "600"},
        "answered_pending": {"BOOL": True},
        "attempt": {"N": "1"},
        "checks": {"N": "1"},
        "created_at": {"S": "2026-01-15T12:00:00.000Z"},
        "currency": {"S": "USD"},
        "declined_because": {"S": ""},
        "fingerprint": {"S": "40 None"},
        "purchase_due": {"S": "2026-01-15T12:01:00.000Z"},
        "quantity": {"N": "40"},
        "revision": {"N": "2"},
        "shard": {"S": "3"},
        "source": {"S": "billing_method"},
        "state": {"S": "pending"},
    }
    driver.table.client.put_item(TableName=driver.table.name, Item=item)


def charged_by_the_release_before(sandbox, state):
    row = {"pk": "p-1", "state": state, "reason": "", "account_id": "ann", "amount_cents": 600, "currency": "USD"}
    sandbox.charge(source="billing_method", **row).save()


@pytest.mark.parametrize("state", ["charged", "in_progress"])
@pytest.mark.parametrize("continues", [event, reconciliation])
def test_what_the_release_before_charged_is_credited(driver, sandbox, succeeds, state, continues):
    left_by_the_release_before(driver)
    charged_by_the_release_before(sandbox, state)
    continues(driver, succeeds)
    assert (the_purchase(driver).state, driver.balance()) == (COMPLETED, 40)


def test_what_the_release_before_did_not_charge_is_declined_and_cannot_be_charged_later(driver, provider, succeeds):
    left_by_the_release_before(driver)
    purchase = the_purchase(driver)
    assert driver.reconcile("p", succeeds) is DECLINED
    later = succeeds.confirm(purchase.ref, charge_of(purchase), present=True)
    assert (later.state, provider.charges) == (PaymentState.DECLINED, [])


def test_an_old_message_about_a_purchase_that_is_not_due_asks_nothing(driver, succeeds):
    bought = driver.buy(40, Instead(succeeds, confirm=silent))
    message = [DuePurchase("ann", bought.purchase.purchase_id, driver.clock.at)]
    reconcile(driver.ledger, Instead(None, give_up=killed), message, deadline)
    assert the_purchase(driver).state is PENDING
    reconciliation(driver, succeeds)
