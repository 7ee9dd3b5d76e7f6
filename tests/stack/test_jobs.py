"""Jobs on the whole stack: a price that anybody sees, proposals at it, and a cancellation that gives them all back."""

from tests.stack.machinery import Machinery, eventually
from tests.stack.marketplace import Marketplace, refusal, unique


def propose(marketplace: Marketplace, account: str, job: str, **more: object):
    reference = {"type": "proposal", "proposal_id": f"proposal-{account}", "job_id": job}
    return marketplace.service("POST", f"/accounts/{account}/spends", {"reference": reference} | more, key="p")


def test_a_job_is_what_its_newest_version_says(marketplace: Marketplace):
    job = unique("j")
    assert refusal(marketplace.service("GET", f"/jobs/{job}")) == (404, "job_not_found")
    body = {"version": 2, "budget_cents": 50_000, "price": 7, "posted_at": "2026-01-01T00:00:00Z"}

    posted = marketplace.service("PUT", f"/jobs/{job}", body)

    assert (posted.status_code, posted.json()) == (200, marketplace.service("GET", f"/jobs/{job}").json())
    assert (posted.json()["price"], posted.json()["status"]) == (7, "open")
    assert marketplace.service("PUT", f"/jobs/{job}", {"version": 1, "price": 3}).json() == posted.json()
    refused = propose(marketplace, marketplace.open(), job, expected_price=3)
    assert (refusal(refused), refused.json()["price"]) == ((409, "price_changed"), 7)


def test_a_canceled_job_gives_every_proposal_back(marketplace: Marketplace):
    job, accounts = unique("j"), [marketplace.open() for _ in range(3)]
    posted = marketplace.service("PUT", f"/jobs/{job}", {"version": 1, "size": "medium", "scope": "moderate"})
    assert (posted.status_code, posted.json()["price"]) == (200, 8)
    seen = marketplace.call(marketplace.token_of(accounts[0]), "GET", f"/jobs/{job}")
    assert (seen.status_code, seen.json()["price"]) == (200, 8)

    assert [propose(marketplace, account, job, expected_price=8).status_code for account in accounts] == [201] * 3
    assert [marketplace.balance(account) for account in accounts] == [42] * 3
    told = marketplace.service("POST", f"/jobs/{job}/events", {"type": "canceled"})

    assert (told.status_code, told.json()["status"]) == (202, "canceled")
    eventually(lambda: [marketplace.balance(account) for account in accounts] == [50] * 3)
    assert refusal(propose(marketplace, marketplace.open(), job)) == (409, "job_not_open")


def test_a_run_of_the_schedule_gives_back_what_the_messages_did_not(marketplace: Marketplace, machinery: Machinery):
    job, account = unique("j"), marketplace.open()
    assert propose(marketplace, account, job, amount=7).status_code == 201
    marketplace.service("POST", f"/jobs/{job}/events", {"type": "removed"})
    machinery.run("JobSweepFunction")
    eventually(lambda: marketplace.balance(account) == 50)
    assert [entry["amount"] for entry in marketplace.entries(account, type="refund")] == [7]
