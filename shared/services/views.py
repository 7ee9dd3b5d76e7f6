"""The answers of the calls: accounts, entries, purchases and others as values for JSON.

Times are ISO 8601 in UTC with ``Z``, dates ``YYYY-MM-DD``, Connects whole numbers, money whole cents.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared.ledger.calendar import ONE_DAY, cycle_on
from shared.ledger.model import Status
from shared.ledger.purchases import PurchaseState
from shared.ledger.timeline import next_plan
from shared.store.rows import instant

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from shared.ledger.jobs import JobAndAuction
    from shared.ledger.model import Account, Badge, Bucket, Entry
    from shared.ledger.policy import Policy
    from shared.ledger.promos import Campaign
    from shared.ledger.purchases import Purchase
    from shared.services.audits import Audited
    from shared.services.purchase_list import PurchasePage
    from shared.services.purchase_outcomes import Bought
    from shared.services.purchases import Checked
    from shared.store.billing import BillingMethod


def account_view(account: Account, today: date, policy: Policy) -> dict[str, Any]:
    """A settled account. ``cycle.ends_on`` is the cycle's last day. ``owed`` is paid by whatever comes next.

    ``next_plan`` is the plan from the next cycle on, None if that is the same. ``status`` is ``frozen`` for an active
    agency that fell back to basic.
    """
    soon = today + timedelta(days=policy.expiring_soon_days)
    first = min((bucket.expires_on for bucket in account.lots), default=None)
    cycle = cycle_on(today, account.joined_on.day, policy.anchor_policy)
    return {
        "account_id": account.account_id,
        "kind": account.kind.value,
        "plan": account.plan.value,
        "next_plan": next_plan(account, policy),
        "status": "frozen" if account.frozen and account.status is Status.ACTIVE else account.status.value,
        "balance": account.balance,
        "held": account.held,
        "expiring": {
            f"within_{policy.expiring_soon_days}_days": _expiring(account, soon),
            "next": first and {"on": first.isoformat(), "amount": _expiring(account, first)},
        },
        "lots": _lots(account.lots),
        "cycle": {
            "starts_on": cycle.starts_on.isoformat(),
            "ends_on": (cycle.next_starts_on - ONE_DAY).isoformat(),
            "next_grant_on": account.grant_due and account.grant_due.isoformat(),
        },
        "badge": badge_view(account.badge),
        "owed": account.total_owed,
    }


def badge_view(badge: Badge | None) -> dict[str, Any]:
    """``renews_at`` is None while it is off; until ``paid_until`` it then costs nothing to switch it on again."""
    return {
        "enabled": badge is not None and badge.enabled,
        "max_per_week": badge and badge.max_per_week,
        "renews_at": badge and badge.renews_at and instant(badge.renews_at),
        "paid_until": badge and instant(badge.paid_until),
    }


def billing_view(method: BillingMethod) -> dict[str, Any]:
    return {"provider": method.provider, "customer": method.customer, "payment_method": method.payment_method}


def entry_view(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.entry_id,
        "seq": entry.seq,
        "at": instant(entry.at),
        "type": str(entry.type),
        "amount": entry.amount,
        "balance_after": entry.balance_after,
        "lots": _lots(entry.slices),
        "reason": entry.reason,
        "reference": reference_view(entry),
    }


def reference_view(entry: Entry) -> dict[str, str]:
    """Sorted by name, as DynamoDB keeps no order: so a repeat answers with the first body to the byte."""
    return dict(sorted(entry.reference.items()))


def purchase_view(bought: Bought) -> dict[str, Any]:
    """``promo``, if there was one and the purchase is completed: its entry, or the code of its refusal.

    ``action`` is there while the bank waits for the buyer; ``returned_cents`` and ``reclaimed`` (Connects) if some of
    its payment went back; ``dispute`` if there was one.
    """
    purchase = bought.purchase
    view: dict[str, Any] = {
        "purchase_id": purchase.purchase_id,
        "status": purchase.status.value,
        "quantity": purchase.quantity,
        "amount_cents": purchase.amount_cents,
        "currency": purchase.currency,
    }
    if bought.action and purchase.action_until:
        view["action"] = {
            "url": bought.action.url,
            "client_secret": bought.action.client_secret,
            "expires_at": instant(purchase.action_until),
        }
    if purchase.declined_because:
        view["declined_because"] = purchase.declined_because
    if purchase.receipt_url:
        view["receipt_url"] = purchase.receipt_url
    if purchase.returned_cents or purchase.dispute:
        view |= {"returned_cents": purchase.returned_cents, "reclaimed": purchase.reclaimed}
    if purchase.dispute:
        view["dispute"] = purchase.dispute
    if bought.entry:
        view["entry"] = entry_view(bought.entry)
    if bought.promo:
        view["promo"] = {"entry": entry_view(bought.promo)}
    elif purchase.promo_refused:
        view["promo"] = {"code": purchase.promo_refused}
    return view


def purchase_row_view(purchase: Purchase) -> dict[str, Any]:
    """A row of an account's list of purchases, as it is now. Its entry is read by ``entry_id``, in the history."""
    view: dict[str, Any] = {
        "purchase_id": purchase.purchase_id,
        "status": purchase.status.value,
        "created_at": instant(purchase.created_at),
        "quantity": purchase.quantity,
        "amount_cents": purchase.amount_cents,
        "currency": purchase.currency,
        "source": str(purchase.source),
    }
    if purchase.state is PurchaseState.COMPLETED:
        view["entry_id"] = purchase.entry_id
    shown = {name: getattr(purchase, name) for name in ("promo_code", "receipt_url", "declined_because")}
    return view | {name: text for name, text in shown.items() if text}


def purchases_view(page: PurchasePage) -> dict[str, Any]:
    return {"purchases": [purchase_row_view(each) for each in page.purchases], "next_cursor": page.next_cursor}


def check_view(checked: Checked) -> dict[str, Any]:
    """Both sides of a purchase, and what was done."""
    before, payment, after = checked.before, checked.payment, checked.after
    return {
        "purchase": purchase_row_view(after),
        "ledger": {
            "status": before.status.value,
            "returned_cents": before.returned_cents,
            "reclaimed": before.reclaimed,
            "attempt": before.attempt,
            "ref": before.ref,
            "answered_pending": before.answered_pending,
            "looked_at": before.checks,
            "next_look_at": before.due_at and instant(before.due_at),
            "action_until": before.action_until and instant(before.action_until),
            "provider_charge": before.provider_charge,
        },
        "provider": payment
        and {
            "state": payment.state.value,
            "reason": payment.reason,
            "code": payment.code,
            "taken_cents": payment.taken_cents,
            "returned_cents": payment.returned_cents,
            "provider_charge": payment.provider_charge,
            "dispute": payment.dispute,
        },
        "done": checked.done,
        "agrees": checked.agrees,
    }


def boost_view(hold: Entry) -> dict[str, Any]:
    """``boosted`` is always true: a bid that gets no place is refused."""
    return {"rank": int(hold.reference["rank"]), "boosted": True, "entry": entry_view(hold)}


def job_view(known: JobAndAuction) -> dict[str, Any]:
    """``price`` and ``boosts.closes_at`` are null if a job ended before any version of it arrived.

    The boosted places name no account; the highest bid is first.
    """
    job, auction = known.job, known.auction
    closing = auction.closed.at if auction.closed else auction.closes_at
    return {
        "job_id": job.job_id,
        "price": job.price,
        "status": job.status.value,
        "version": job.posting and job.posting.version,
        "boosts": {
            "closes_at": closing and instant(closing),
            "slots": [{"rank": rank, "bid": boost.bid} for rank, boost in enumerate(auction.places, start=1)],
        },
    }


def campaign_view(campaign: Campaign, redeemed: int) -> dict[str, Any]:
    return {
        "code": campaign.code,
        "connects": campaign.connects,
        "max_redemptions": campaign.max_redemptions,
        "from": instant(campaign.starts_at),
        "to": instant(campaign.ends_at),
        "redeemed": redeemed,
    }


def audit_view(audited: Audited) -> dict[str, Any]:
    """``charges_compared`` is false if no payment provider is connected: purchases are then checked without it."""
    return {
        "status": "finished",
        "ok": not any(finding.problems for finding in audited.findings),
        "as_of_seq": audited.as_of_seq,
        "charges_compared": audited.charges_compared,
        "invariants": [
            {"invariant": finding.invariant, "ok": not finding.problems, "found": list(finding.problems)}
            for finding in audited.findings
        ],
    }


def _expiring(account: Account, by: date) -> int:
    return sum(left for bucket, left in account.lots.items() if bucket.expires_on <= by)


def _lots(lots: Mapping[Bucket, int]) -> list[dict[str, Any]]:
    return [
        {"expires_on": bucket.expires_on.isoformat(), "paid": bucket.paid, "amount": lots[bucket]}
        for bucket in sorted(lots)
    ]
