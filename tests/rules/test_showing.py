"""Showing: the balance, what expires when, and what explains each number."""


def days_of(api, **query):
    answer = api.call("history", path={"account_id": "ann"}, query=query)
    return [entry["at"][5:10] for entry in answer.body["entries"] if entry["type"] == "spend"]


def test_an_account_shows_its_balance_how_many_expire_within_30_days_and_when_the_next_ones_do(agency, at):
    acme = agency()
    for day in ("2026-11-22", "2026-11-30", "2027-01-10"):
        at(day)
        acme.buys(10)
    at("2027-11-10")
    acme.spends(3)
    shown = acme.shown
    assert shown["balance"] == 27
    assert shown["expiring"] == {"within_30_days": 17, "next": {"on": "2027-11-23", "amount": 7}}


def test_within_30_days_counts_the_30th(agency, at):
    acme = agency()
    acme.buys(10)
    for day, within in (("2027-10-23", 0), ("2027-10-24", 10), ("2027-11-22", 10)):
        at(day)
        assert acme.shown["expiring"]["within_30_days"] == within


def test_history_is_shown_for_the_last_7_30_and_90_days_and_for_any_range(api, freelancer, at):
    ann = freelancer()
    for day in ("2026-11-24", "2026-12-20", "2027-01-20", "2027-02-10", "2027-02-19"):
        at(day)
        ann.spends(1)
    at("2027-02-20")
    assert days_of(api, days="7") == ["02-19"]
    assert days_of(api, days="30") == ["02-19", "02-10"]
    assert days_of(api, days="90") == ["02-19", "02-10", "01-20", "12-20", "11-24"]
    assert days_of(api, **{"from": "2026-12-20", "to": "2027-02-10"}) == ["01-20", "12-20"]


def test_each_row_has_its_date_type_amount_balance_after_reason_and_what_it_was_for(freelancer):
    ann = freelancer()
    ann.proposes("j-1", amount=7)
    row = ann.entries()[-1]
    assert (row["at"], row["type"], row["amount"], row["balance_after"]) == (
        "2026-11-22T10:00:00.000Z",
        "spend",
        -7,
        43,
    )
    assert row["reason"] == "Proposal"
    assert row["reference"] == {"type": "proposal", "proposal_id": "p-1", "job_id": "j-1"}


def test_every_change_is_a_row(api, freelancer, at):
    """Users reported that their balance decreased without an explanation."""
    ann = freelancer()
    api.put_promo()
    ann.redeems("SPRING")
    ann.rewarded("rising_talent")
    ann.interviewed(ann.spends(8))
    ann.refunded(ann.spends(6))
    ann.buys(10)
    ann.badge()
    ann.given(-1)
    ann.changes_plan("plus")
    at("2027-11-23")
    assert ann.spends(1).status == 201
    rows = ann.entries()
    assert {row["type"] for row in rows} == {
        *("grant", "reward", "purchase", "promo", "spend", "refund", "expiry", "adjustment")
    }
    balance = 0
    for row in rows:
        balance += row["amount"]
        assert (row["balance_after"], bool(row["reason"] and row["reference"])) == (balance, True)
    assert ann.balance == balance
