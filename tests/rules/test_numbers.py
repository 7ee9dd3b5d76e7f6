"""The numbers of the product: each is configuration, and has a default. They have changed before and will again."""

from tests.table import template

DEFAULTS = {
    "SignUpConnects": 40,
    "MonthlyBasicConnects": 10,
    "MonthlyPlusConnects": 100,
    "MonthlyPlusFreeConnects": 10,
    "RisingTalentConnects": 30,
    "InterviewConnects": 10,
    "InterviewCapConnects": 50,
    "InterviewWindowDays": 7,
    "BoostPlaces": 4,
    "AuctionDays": 7,
    "UnitPriceCents": 15,
    "Currency": "USD",
    "MinimumPurchase": 10,
    "LotLifetimeMonths": 12,
    "RefundGraceDays": 30,
    "AnchorPolicy": "clamp",
    "ExpiringSoonDays": 30,
    "ExpiryNoticeDays": "30,7,1",
}


def test_the_default_of_each_number_is_what_the_marketplace_states():
    parameters = template()["Parameters"]
    assert {name: parameters[name]["Default"] for name in DEFAULTS} == DEFAULTS


def test_with_other_numbers_the_same_rules_hold(freelancer, at, restart):
    """Older pages say 70 for a month of plus."""
    restart(
        SIGN_UP_CONNECTS="7",
        MONTHLY_PLUS_CONNECTS="70",
        RISING_TALENT_CONNECTS="5",
        MINIMUM_PURCHASE="2",
        LOT_LIFETIME_MONTHS="1",
    )
    ann = freelancer(plan="plus")
    ann.rewarded("rising_talent")
    ann.buys(2)
    assert [amount for _, amount in ann.rows()] == [7, 70, 5, 2]
    at("2026-12-22")
    assert ann.balance == 7 + 70 + 5 + 2 + 70
    at("2026-12-23")
    assert ann.balance == 70
