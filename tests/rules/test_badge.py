"""The availability badge: a price a week that floats with demand, and the most that its account will pay.

Configured here: 4 a week, 1 more for every 2 badges that are on, at most 6. Time starts on a Sunday, 2026-11-22.
"""


def weeks(account):
    return [(entry["at"], -entry["amount"]) for entry in account.entries("spend")]


def test_the_price_of_a_week_floats_with_demand(freelancer, at, scheduled):
    badges = [freelancer(name) for name in ("ann", "bob", "carol", "dora")]
    prices = []
    for monday, on in [("2026-11-23", 0), ("2026-11-30", 2), ("2026-12-07", 4), ("2026-12-14", 1)]:
        for number, badge in enumerate(badges):
            badge.badge(number < on, most=20)
        at(monday)
        scheduled("badge_renewals")
        prices.append(badges[0].badge(on=False).body["price"])
    assert prices == [4, 5, 6, 4]


def test_a_badge_is_charged_when_it_is_switched_on_and_every_7_days_after(freelancer, at, scheduled):
    ann = freelancer()
    ann.badge()
    assert weeks(ann) == [("2026-11-22T10:00:00.000Z", 4)]
    for instant in ("2026-11-29T09:59:59.999Z", "2026-11-29T10:00:00.000Z", "2026-12-06T10:00:00.000Z"):
        at(instant)
        scheduled("badge_renewals")
    assert weeks(ann) == [(f"2026-{day}T10:00:00.000Z", 4) for day in ("11-22", "11-29", "12-06")]


def test_a_late_renewal_is_charged_from_where_its_week_began_so_that_weeks_never_drift(freelancer, at, scheduled):
    ann = freelancer()
    ann.badge()
    at("2026-12-01T23:00:00Z")
    scheduled("badge_renewals")
    assert weeks(ann)[-1] == ("2026-11-29T10:00:00.000Z", 4)
    assert ann.shown["badge"]["renews_at"] == "2026-12-06T10:00:00.000Z"


def test_a_badge_is_not_switched_on_above_the_maximum_of_its_account(freelancer):
    ann = freelancer()
    refused = ann.badge(most=3)
    assert (refused.refused, refused.body["price"]) == ((409, "price_changed"), 4)
    assert (ann.shown["badge"]["enabled"], ann.balance) == (False, 50)
    assert ann.badge(most=4).status == 200


def test_a_badge_goes_off_and_nothing_is_charged_if_the_price_rose_above_the_maximum(freelancer, at, scheduled):
    ann, bob = freelancer(), freelancer("bob")
    ann.badge(most=4)
    bob.badge(most=5)
    at("2026-11-29T10:00:00Z")
    scheduled("badge_renewals")  # 2 badges are on, so a week is 5 now
    assert (ann.shown["badge"]["enabled"], len(weeks(ann))) == (False, 1)
    assert (bob.shown["badge"]["enabled"], weeks(bob)[-1][1]) == (True, 5)


def test_a_badge_goes_off_and_nothing_is_charged_if_the_balance_is_too_small(freelancer, at, scheduled):
    ann = freelancer()
    ann.badge()
    ann.spends(43)
    at("2026-11-29T10:00:00Z")
    scheduled("badge_renewals")
    assert (ann.shown["badge"]["enabled"], ann.balance) == (False, 3)


def test_a_badge_that_was_switched_off_is_not_charged(freelancer, at, scheduled):
    ann = freelancer()
    ann.badge()
    ann.badge(on=False)
    at("2026-12-22T09:00:00Z")
    scheduled("badge_renewals")
    assert len(weeks(ann)) == 1
