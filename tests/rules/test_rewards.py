"""Rising Talent, skill certificates, and what staff give or take."""


def test_rising_talent_brings_30(freelancer):
    ann = freelancer()
    ann.rewarded("rising_talent")
    assert ann.rows("reward") == [("2026-11-22", 30)]


def test_rising_talent_comes_once_for_ever(freelancer, at):
    """Users reported that it was credited twice."""
    ann = freelancer()
    ann.rewarded("rising_talent")
    assert ann.rewarded("rising_talent").refused == (409, "already_awarded")
    at("2028-11-22")
    assert ann.rewarded("rising_talent").refused == (409, "already_awarded")
    assert len(ann.rows("reward")) == 1


def test_a_certificate_brings_what_is_configured_for_it_once_each(freelancer):
    """Configured here: 10 for python, 5 for design."""
    ann = freelancer()
    for certificate in ("python", "design"):
        assert ann.rewarded("certification", certificate=certificate).status == 201
        assert ann.rewarded("certification", certificate=certificate).refused == (409, "already_awarded")
    assert ann.rows("reward") == [("2026-11-22", 10), ("2026-11-22", 5)]


def test_a_certificate_that_is_not_configured_brings_nothing(freelancer):
    assert freelancer().rewarded("certification", certificate="juggling").refused == (400, "invalid_request")


def test_staff_give_or_take_any_number(freelancer):
    ann = freelancer()
    for amount in (1, 500, -1, -550):
        assert ann.given(amount).body["amount"] == amount
    assert ann.balance == 0


def test_staff_have_to_give_a_reason_and_the_history_shows_it(freelancer):
    ann = freelancer()
    for nothing in ("", "  "):
        assert ann.given(5, reason=nothing).refused == (400, "invalid_request")
    ann.given(5, reason="Sorry for the outage")
    assert [(entry["amount"], entry["reason"]) for entry in ann.entries("adjustment")] == [(5, "Sorry for the outage")]


def test_only_staff_may_adjust(api, freelancer):
    freelancer()
    body = {"amount": 5, "reason": "please"}
    assert api.call("adjustment", path={"account_id": "ann"}, key="k", body=body).refused == (403, "forbidden")


def test_staff_take_no_more_than_there_is(freelancer):
    ann = freelancer()
    assert ann.given(-51).refused == (409, "insufficient_connects")
    assert ann.balance == 50
