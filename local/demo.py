"""`make demo`: a freelancer's year, played through the HTTP API of the stack that is up.

Every call that it prints is a real one with a real token. Only the clock is the sandbox's, so that a month takes a
moment. That clock never goes back, so each run opens a new account.
"""

import secrets
import sys
import time
import urllib.error
from datetime import datetime, timedelta
from io import TextIOWrapper
from typing import Any

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from local.narrator import WIDEST, DemoError, Narrator, day, dollars
from local.stack import describe
from local.statement import Entry, Mark, chart, statement, totals
from local.tokens import TokenError, client_token, user_token

MONTH = "P31D"  # at least a cycle, and twelve of them are no more than twelve cycles
HALF_A_MONTH, REST_OF_IT = "P15D", "P16D"
PRICES = (14, 8)
ORDINARY_MONTHS = (
    ("logo", "brochure"),
    ("shop", "newsletter"),
    ("app", "icons"),
    ("blog", "poster"),
    ("book", "map"),
    ("album", "flyer"),
)


class Freelancer:
    """Ann: what she and the marketplace ask of the API on her behalf."""

    def __init__(self, account_id: str, narrator: Narrator) -> None:
        self.account_id = account_id
        self.path = f"/accounts/{account_id}"
        self.tell = narrator
        self.balance = 0
        self.seen = 0
        self.marks: list[Mark] = []

    def spend(self, amount: int, job: str, expect: int = 201, *, aside: bool = False) -> dict[str, Any]:
        """The marketplace's proposal service spends for her. Its id is the idempotency key, so it is paid for once."""
        answer = self.tell.call(
            "service",
            f"POST {self.path}/spends",
            expect,
            note=f"{amount} Connects, job {job}",
            aside=aside,
            headers={"Idempotency-Key": f"proposal-{job}"},
            amount=amount,
            reference={"type": "proposal", "proposal_id": f"proposal-{job}", "job_id": job},
        )
        self.balance = answer.body.get("balance_after", self.balance)
        return {**answer.body, "replayed": answer.replayed}

    def buy(self, quantity: int, key: str, expect: int, payment: str | None = None) -> dict[str, Any]:
        answer = self.tell.call(
            "ann",
            f"POST {self.path}/purchases",
            expect,
            headers={"Idempotency-Key": key} | ({"X-Sandbox-Payment": payment} if payment else {}),
            quantity=quantity,
            payment={"source": "billing_method"},
        )
        self.balance = answer.body.get("entry", {}).get("balance_after", self.balance)
        return {**answer.body, "replayed": answer.replayed}

    def refund(self, spend: dict[str, Any], reason: str, key: str, expect: int) -> dict[str, Any]:
        answer = self.tell.call(
            "service",
            f"POST {self.path}/spends/{spend['id']}/refund",
            expect,
            note=reason,
            headers={"Idempotency-Key": key},
            reason=reason,
        )
        self.balance = answer.body.get("balance_after", self.balance)
        return answer.body

    def change_plan(self, plan: str) -> None:
        self.tell.call("service", f"PATCH {self.path}", 200, note=f"plan {plan}", plan=plan)
        self.marks.append(Mark(self.tell.now, f"to {plan}"))

    def history(self, query: str, *, aside: bool = False) -> list[Entry]:
        """Her journal as she reads it, oldest entry first."""
        read = self.tell.call("ann", f"GET {self.path}/history?{query}", 200, aside=aside)
        return list(reversed(read.body["entries"]))

    def news(self, *, aside: bool = False) -> list[Entry]:
        """The entries that the calendar brought since she last looked."""
        rows = [row for row in self.history("days=90", aside=aside) if row["seq"] > self.seen]
        self.seen = max((row["seq"] for row in rows), default=self.seen)
        self.balance = rows[-1]["balance_after"] if rows else self.balance
        return [row for row in rows if row["type"] in {"grant", "expiry"}]

    def look(self) -> None:
        """Mark all entries until now as seen."""
        self.news(aside=True)


def play(ann: Freelancer) -> None:
    sign_up(ann)
    buy_connects(ann)
    lose_an_answer(ann)
    get_some_back(ann)
    earn(ann)
    meet_a_job(ann)
    boost_a_proposal(ann)
    wear_a_badge(ann)
    live_on(ann)
    upgrade(ann)
    let_some_expire(ann)


def sign_up(ann: Freelancer) -> None:
    tell = ann.tell
    tell.chapter("Joining")
    tell.step("Ann signs up as a freelancer on the basic plan")
    opened = tell.call(
        "service",
        "POST /accounts",
        201,
        headers={"Idempotency-Key": "sign-up"},
        account_id=ann.account_id,
        kind="freelancer",
        plan="basic",
    )
    ann.balance = opened.body["balance"]
    tell.outcome(told(ann.news()), ann.balance)

    tell.step("She answers a job post; its price is 8 Connects")
    ann.spend(8, "website")
    tell.outcome("Sent, and paid from the Connects that expire first.", ann.balance)

    tell.step("The network hiccups, so the very same request is sent twice")
    again = ann.spend(8, "website")
    if not again["replayed"]:
        raise DemoError("the repeated spend was not recognised as a repeat")
    tell.outcome("Same answer as before, and nothing is spent a second time.", ann.balance)


def buy_connects(ann: Freelancer) -> None:
    tell = ann.tell
    tell.chapter("Buying")
    tell.step("A bigger job asks 45 Connects")
    refused = ann.spend(45, "marketplace", 409)
    tell.outcome(
        f"Too much: {refused['required']} required and she has {refused['balance']}. Nothing is spent.", ann.balance
    )

    tell.step("She buys 150, and her card is declined")
    declined = ann.buy(150, "buy-1", 402, "decline")
    tell.outcome(declined["detail"], ann.balance)

    tell.step("She tries again with another card")
    bought = ann.buy(150, "buy-1", 201)
    ann.marks.append(Mark(tell.now, "bought twice"))
    tell.outcome(f"{dollars(bought['amount_cents'])} for 150 Connects, there at once.", ann.balance)

    tell.step("The refused proposal goes out now, under the same key")
    ann.spend(45, "marketplace")
    tell.outcome("A refusal uses no key up.", ann.balance)


def lose_an_answer(ann: Freelancer) -> None:
    tell = ann.tell
    tell.step("She buys 60 more; the provider charges, but its answer is lost")
    pending = ann.buy(60, "buy-2", 202, "timeout")
    tell.outcome("Pending: nobody here knows yet whether she was charged.", ann.balance)

    tell.step("She sees no Connects and presses Buy again")
    again = ann.buy(60, "buy-2", 202)
    if again["purchase_id"] != pending["purchase_id"]:
        raise DemoError("pressing Buy again made a second purchase")
    tell.outcome("It is the same purchase, so there is no second charge.", ann.balance)

    tell.step("Two minutes later the reconciliation asks what became of it")
    tell.move_clock("PT2M")
    found = tell.call("ann", f"GET {ann.path}/purchases/{pending['purchase_id']}", 200).body
    if found["status"] != "completed":
        raise DemoError(f"the purchase whose answer was lost is {found['status']}, not completed")
    ann.balance = found["entry"]["balance_after"]
    tell.outcome(f"Completed: {dollars(found['amount_cents'])} charged once, 60 Connects given once.", ann.balance)
    tell.complaint(
        "I was charged twice and got nothing",
        "One purchase has one id and at most one charge, however often it is sent. A charge always ends in its "
        "Connects within minutes, even when its answer is lost and nobody asks.",
    )


def get_some_back(ann: Freelancer) -> None:
    tell = ann.tell
    tell.chapter("Getting Connects back")
    month(ann, "A month passes")

    tell.step("Two proposals more")
    canceled = ann.spend(16, "podcast")
    withdrawn = ann.spend(12, "menu")
    tell.outcome("16 and 12 Connects are spent.", ann.balance)

    tell.step("The client of the podcast cancels the job")
    back = ann.refund(canceled, "job_canceled", "cancel-podcast", 201)
    until = ", ".join(f"{lot['amount']} expiring {day(lot['expires_on'])}" for lot in back["lots"])
    tell.outcome(f"Back into the lot it came from: {until}.", ann.balance)

    tell.step("Another service reports the same cancelation")
    refused = ann.refund(canceled, "job_removed", "remove-podcast", 409)
    tell.outcome(f"Refused: {refused['detail']}", ann.balance)

    tell.step("Ann withdraws the other proposal herself")
    ann.refund(withdrawn, "withdrawn", "withdraw-menu", 422)
    tell.outcome("Refused: a withdrawn proposal stays paid.", ann.balance)


def earn(ann: Freelancer) -> None:
    tell = ann.tell
    tell.chapter("Rewards and promo codes")
    tell.step("Ann becomes a Rising Talent, and two services tell of it")
    for key, expect in (("talent-1", 201), ("talent-2", 409)):
        headers = {"Idempotency-Key": key}
        told_of = tell.call("service", f"POST {ann.path}/rewards", expect, headers=headers, kind="rising_talent").body
    ann.look()
    tell.outcome(f"30 Connects, and the second is refused: {told_of['detail']}", ann.balance)

    code = f"SPRING-{ann.account_id.upper()}"
    tell.step("Staff starts a campaign; Ann types its code in her own way, twice")
    starts, ends = tell.now - timedelta(days=1), tell.now + timedelta(days=30)
    window: dict[str, Any] = {"from": starts.isoformat(), "to": ends.isoformat()}
    tell.call("staff", f"PUT /promos/{code}", 200, connects=5, max_redemptions=100, **window)
    for key, expect in (("promo-1", 201), ("promo-2", 409)):
        typed: dict[str, Any] = {"headers": {"Idempotency-Key": key}, "code": f" {code.lower()} "}
        tell.call("ann", f"POST {ann.path}/promo-redemptions", expect, **typed)
    ann.look()
    tell.outcome("5 Connects, once an account.", ann.balance)


def meet_a_job(ann: Freelancer) -> None:
    tell = ann.tell
    job = f"fair-{ann.account_id}"
    tell.chapter("A job with a price")
    tell.step("A client posts a job, and makes it bigger while Ann still reads the first post")
    seen = tell.call("service", f"PUT /jobs/{job}", 200, version=1, size="small", scope="simple").body["price"]
    tell.call("service", f"PUT /jobs/{job}", 200, version=2, size="medium", scope="complex")
    proposal = {"type": "proposal", "proposal_id": f"proposal-{job}", "job_id": job}
    sent: dict[str, Any] = {"headers": {"Idempotency-Key": f"proposal-{job}"}, "reference": proposal}
    refused = tell.call("service", f"POST {ann.path}/spends", 409, expected_price=seen, **sent).body
    tell.outcome(f"She saw {seen}, and it is {refused['price']} now: nothing is spent.", ann.balance)

    tell.step("She sends it at the new price, and the client cancels the job")
    tell.call("service", f"POST {ann.path}/spends", 201, expected_price=refused["price"], **sent)
    tell.call("service", f"POST /jobs/{job}/events", 202, note="canceled", type="canceled")
    tell.move_clock("PT2M", aside=True)
    [back] = [row for row in ann.history("days=7&type=refund", aside=True) if row["seq"] > ann.seen]
    ann.look()
    tell.outcome(f"{back['amount']:+d}: every proposal on a canceled job comes back, unasked.", ann.balance)


def boost_a_proposal(ann: Freelancer) -> None:
    tell = ann.tell
    job = f"mural-{ann.account_id}"
    tell.chapter("A boosted place")
    tell.step("Ann bids 3 for a place on top of the client's list; four others bid more")
    tell.call("service", f"PUT /jobs/{job}", 200, version=1, size="small", scope="simple", aside=True)
    bid(ann.tell, ann.account_id, job, 3)
    for higher, rival in enumerate(("ben", "cleo", "dirk", "ella"), 4):
        open_rival(tell, name := f"{rival}-{ann.account_id}")
        bid(tell, name, job, higher, aside=True)
    rows = [row for row in ann.history("days=7", aside=True) if row["seq"] > ann.seen]
    ann.look()
    story = ", ".join(f"{row['amount']:+d} ({row['reason']})" for row in rows)
    tell.outcome(f"{story}: she has a place no more, and nothing is lost.", ann.balance)

    tell.step("She bids 8, and the client looks at her proposal")
    rank = bid(tell, ann.account_id, job, 8)["rank"]
    tell.call(
        "service", f"POST /jobs/{job}/events", 202, note="interaction", type="interaction", account_id=ann.account_id
    )
    ann.look()
    tell.outcome(f"Place {rank}, and the client has seen her there: from held, the 8 become paid.", ann.balance)


def bid(tell: Narrator, account_id: str, job: str, connects: int, *, aside: bool = False) -> dict[str, Any]:
    headers = {"Idempotency-Key": f"boost-{job}-{connects}"}
    named = {"job_id": job, "proposal_id": f"proposal-{account_id}"}
    path = f"POST /accounts/{account_id}/boosts"
    return tell.call("service", path, 201, aside=aside, headers=headers, bid=connects, **named).body


def open_rival(tell: Narrator, name: str) -> None:
    headers = {"Idempotency-Key": "sign-up"}
    who = {"account_id": name, "kind": "freelancer", "plan": "basic"}
    tell.call("service", "POST /accounts", 201, aside=True, headers=headers, **who)


def wear_a_badge(ann: Freelancer) -> None:
    tell = ann.tell
    tell.chapter("The availability badge")
    tell.step("Ann switches her badge on, for at most 20 a week; a week later she has enough of it")
    badge = tell.call("ann", f"PUT {ann.path}/badge", 200, enabled=True, max_per_week=20).body
    tell.move_clock("P7D", aside=True)
    tell.call("ann", f"PUT {ann.path}/badge", 200, enabled=False)
    ann.look()
    tell.outcome(f"{badge['price']} Connects a week, at a price that follows demand; two weeks are paid.", ann.balance)


def live_on(ann: Freelancer) -> None:
    ann.tell.chapter("Months pass")
    for jobs in ORDINARY_MONTHS:
        month(ann, f"A month passes, with proposals for {' and '.join(jobs)}", jobs)


def upgrade(ann: Freelancer) -> None:
    tell = ann.tell
    tell.chapter("Another plan")
    tell.move_clock(HALF_A_MONTH, aside=True)
    tell.step("In the middle of her cycle, Ann upgrades to plus")
    ann.change_plan("plus")
    tell.outcome(f"At once: {told(ann.news(aside=True))}", ann.balance)

    month(ann, "The first full cycle on plus", ("film",), REST_OF_IT)
    month(ann, "And another")
    tell.step("Enough of it: she goes back to basic")
    ann.change_plan("basic")
    tell.outcome("From her next cycle on; nothing is taken back.", ann.balance)
    month(ann, "A month passes")


def let_some_expire(ann: Freelancer) -> None:
    tell = ann.tell
    tell.chapter("The year ends")
    month(ann, "A month passes")

    tell.step("Ann looks at her account")
    account = tell.call("ann", f"GET {ann.path}", 200).body
    soon = account["expiring"]["next"]
    tell.outcome(f"It warns her: {soon['amount']} Connects expire on {day(soon['on'])}.", ann.balance)

    tell.step("She uses some of them in time")
    ann.spend(16, "calendar")
    tell.outcome("What expires first is spent first.", ann.balance)

    rows = month(ann, "A year and some days since she signed up")
    expired = [row for row in rows if row["type"] == "expiry"]
    if not expired:
        raise DemoError("nothing expired a year after the sign-up")
    ann.marks.append(Mark(datetime.fromisoformat(expired[0]["at"]), f"{-expired[0]['amount']} expired"))


def month(ann: Freelancer, title: str, jobs: tuple[str, ...] = (), length: str = MONTH) -> list[Entry]:
    """Let a month pass, then send proposals, told in short. Returns what the calendar brought."""
    ann.tell.move_clock(length, aside=True)
    ann.tell.step(title)
    rows = ann.news(aside=True)
    spends = [ann.spend(price, job, aside=True) for job, price in zip(jobs, PRICES, strict=False)]
    spent = "".join(f", {spend['amount']:+d}" for spend in spends)
    ann.tell.outcome(told(rows) + spent, ann.balance)
    return rows


def told(rows: list[Entry]) -> str:
    return ", ".join(f"{row['amount']:+d} ({row['reason']})" for row in rows) or "no news"


def close(ann: Freelancer) -> None:
    """The statement, the chart and the audit."""
    tell, console = ann.tell, ann.tell.console
    tell.chapter("The statement")
    tell.step("Ann reads her year")
    since = (tell.now - timedelta(days=400)).date()
    entries = ann.history(f"from={since}&to={(tell.now + timedelta(days=1)).date()}")
    console.print(statement(entries))
    console.print(f"  {totals(entries)}", highlight=False)
    tell.complaint(
        "My Connects only decrease and I can't tell why",
        "Every change is a row, up or down, with its reason, what it was for and the balance after it, and the rows "
        "add up to the balance. Nothing moves without one.",
    )
    tell.chapter("The balance over the year")
    console.print()
    console.print(chart(entries, tell.now, ann.marks, console.width), end="")
    audit(ann)


def audit(ann: Freelancer) -> None:
    tell = ann.tell
    tell.chapter("The audit")
    tell.step("Staff checks the account against its whole journal")
    found = tell.call("staff", f"GET {ann.path}/audit", 200).body
    for each in found["invariants"]:
        tell.outcome(f"{'holds' if each['ok'] else '[red]BROKEN[/]'}: {each['invariant']} {' '.join(each['found'])}")
    if not found["ok"]:
        raise DemoError("an invariant of the ledger does not hold")


def next_steps(ann: Freelancer, api_url: str) -> None:
    user = f'-H "Authorization: Bearer $(make -s token ACCOUNT={ann.account_id})"'
    service = '-H "Authorization: Bearer $(make -s token CLIENT=service)"'
    url, line = f"{api_url}{ann.path}", "-w '\\n'"
    body = '{"amount": 6, "reference":\n       {"type": "proposal", "proposal_id": "p-1", "job_id": "job-1"}}'
    ann.tell.chapter("Try next, here in this folder")
    for what, command in {
        "What Ann has, and what expires when": f"curl {line} {user} \\\n  '{url}'",
        "Her last 90 days as CSV": f"curl {line} {user} \\\n  -H 'Accept: text/csv' \\\n  '{url}/history?days=90'",
        "A proposal; send it twice and see that it is paid once": (
            f"curl -i {line} {service} \\\n  -H 'Content-Type: application/json' -H 'Idempotency-Key: p-1' \\\n"
            f"  -d '{body}' \\\n  '{url}/spends'"
        ),
    }.items():
        ann.tell.console.print(f"\n[dim]# {what}[/]", highlight=False)
        # Not wrapped by rich: these lines are to be copied.
        ann.tell.console.print(command, highlight=False, markup=False, soft_wrap=True)


def main() -> None:
    stack = describe()
    if not stack:
        raise DemoError("there is no stack yet: `make up` first")
    console = Console()
    console.width = min(console.width, WIDEST)
    account_id = f"ann-{secrets.token_hex(2)}"
    started = time.monotonic()
    console.print(f"\n[bold]A freelancer's year.[/] The account is {account_id}, new for this run.", highlight=False)
    console.print("It takes the calendar of the stack a year on, for all accounts in it.")
    console.print("Before each call stands whose token it carries: Ann's, a service's, or staff's.", highlight=False)
    tokens = {"ann": user_token(stack, account_id)} | {name: client_token(stack, name) for name in ("service", "staff")}
    narrator = Narrator(console, stack["api_url"], tokens)
    ann = Freelancer(account_id, narrator)
    narrator.begin()
    play(ann)
    close(ann)
    next_steps(ann, stack["api_url"])
    took = time.monotonic() - started
    console.print(f"\nA year in {took:.0f} s and {narrator.calls} calls. The API stays up; `make down` ends it.")


if __name__ == "__main__":
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        main()
    except (httpx.HTTPError, BotoCoreError, urllib.error.URLError) as error:
        raise SystemExit(f"The demo stopped: the stack does not answer ({error}). `make up` starts it.") from None
    except (DemoError, TokenError, ClientError) as error:
        raise SystemExit(f"The demo stopped: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("\nThe demo was stopped. The stack is still up.") from None
