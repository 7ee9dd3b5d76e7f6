"""Promo codes on the stack: put by staff, redeemed by owners, alone and with a purchase."""

from functools import partial

from tests.stack.machinery import Machinery
from tests.stack.marketplace import REPLAYED, Marketplace, at_once, refusal, unique


def new_code(marketplace: Marketplace, **terms: object) -> str:
    code = unique("PROMO").upper()
    assert marketplace.put_promo(code, **terms).status_code == 200
    return code


def test_a_campaign_answers_with_its_terms_and_how_often_it_was_redeemed(marketplace: Marketplace):
    code = new_code(marketplace)
    marketplace.redeem(marketplace.open(), code, "r")

    answer = marketplace.put_promo(code, connects=7, to="2999-01-01T00:00:00+02:00")

    assert answer.status_code == 200
    assert answer.json() == {
        "code": code,
        "connects": 7,
        "max_redemptions": 100,
        "from": "2000-01-01T00:00:00.000Z",
        "to": "2998-12-31T22:00:00.000Z",
        "redeemed": 1,
    }


def test_a_code_is_redeemed_once_an_account_however_it_is_written(marketplace: Marketplace):
    code, account = new_code(marketplace), marketplace.open()

    first, again = (marketplace.redeem(account, written, "r") for written in (code, f" {code.lower()} "))

    assert (first.status_code, REPLAYED in first.headers) == (201, False)
    assert (again.status_code, again.json(), again.headers[REPLAYED]) == (201, first.json(), "true")
    assert (first.json()["type"], first.json()["amount"], first.json()["balance_after"]) == ("promo", 5, 55)
    assert marketplace.entries(account)[0] == first.json()
    assert refusal(marketplace.redeem(account, code, "another")) == (409, "promo_used")
    assert marketplace.balance(account) == 55


def test_a_code_that_brings_nothing_says_why_and_nothing_is_charged(marketplace: Marketplace, machinery: Machinery):
    account = marketplace.open()
    over, to_come = {"to": "2000-01-02T00:00:00Z"}, {"from": "7999-01-01T00:00:00Z"}
    for code, why in {
        unique("unknown"): (404, "promo_not_found"),
        new_code(marketplace, **over): (409, "promo_not_active"),
        new_code(marketplace, **to_come): (409, "promo_not_active"),
        new_code(marketplace, max_redemptions=0): (409, "promo_exhausted"),
    }.items():
        assert refusal(marketplace.redeem(account, code, "r")) == why
        assert refusal(marketplace.buy(account, 10, "b", promo_code=code)) == why
    assert (marketplace.balance(account), machinery.charges(account)) == (50, [])


def test_accounts_that_race_for_a_code_get_it_as_often_as_it_may_be(marketplace: Marketplace):
    code, accounts = new_code(marketplace, max_redemptions=2), [marketplace.open() for _ in range(4)]

    answers = at_once([partial(marketplace.redeem, account, code, "r") for account in accounts])

    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409]
    assert {refusal(answer) for answer in answers if answer.is_error} == {(409, "promo_exhausted")}
    assert sorted(marketplace.balance(account) for account in accounts) == [50, 50, 55, 55]


def test_a_purchase_brings_the_connects_of_its_code_as_a_row_of_their_own(marketplace: Marketplace):
    code, account = new_code(marketplace), marketplace.open()

    bought = marketplace.buy(account, 40, "b", promo_code=code)

    assert bought.status_code == 201
    promo, purchase = marketplace.entries(account)[:2]
    assert (bought.json()["entry"], bought.json()["promo"]) == (purchase, {"entry": promo})
    assert (purchase["amount"], promo["amount"], promo["balance_after"]) == (40, 5, 95)
    assert marketplace.purchase(account, bought.json()["purchase_id"]) == bought.json()
    assert marketplace.buy(account, 40, "b", promo_code=code).json() == bought.json()
