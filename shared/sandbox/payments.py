"""A simulated payment provider for tests: it charges nobody, and its behaviour can be chosen.

An item of the sandbox's table is one payment::

    (none) ──► prepared ──► charged
                  │  ├────► in_progress ──► charged            once it is looked at, or was to be given up
                  │  ├────► needs_buyer ──► charged            a minute later, if the buyer agrees
                  │  └────► declined                           may be confirmed again
                  └───────► canceled                           and so from needs_buyer and declined

What happens by itself in the world (a late payment goes through, a buyer agrees) happens here when it is asked for.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from pynamodb.exceptions import PutError, UpdateError

from shared.ledger.purchases import PaymentSource, purchase_id_of
from shared.payments import Action, Charge, Heard, NoAnswerError, Payment, PaymentState
from shared.store.errors import ContentionError, contention_from_aws

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shared.clock import Clock
    from shared.sandbox.table import ChargeRow, SandboxTable

PREPARED, CANCELED = "prepared", "canceled"
CHARGED, DECLINED, IN_PROGRESS, NEEDS_BUYER = (
    state.value
    for state in (PaymentState.CHARGED, PaymentState.DECLINED, PaymentState.IN_PROGRESS, PaymentState.NEEDS_BUYER)
)
NOT_CHARGED = frozenset({PREPARED, DECLINED, CANCELED})
NEVER_MADE = "the payment was never made"
OF_A_CHARGE = "charge."
"""What the types of events begin with that are about payments."""
A_PAGE = 100
AGREES_AFTER = timedelta(minutes=1)
BANK_WAITS = timedelta(days=1)
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Behaviour(StrEnum):
    SUCCEED = "succeed"
    DECLINE = "decline"
    TIMEOUT = "timeout"  # charges, and the answer is lost
    LATE = "late"  # answers that it is in progress, and charges when asked again
    ACTION = "action"  # asks the buyer, who agrees a minute later; declines where the buyer is not there
    ABANDON = "abandon"  # asks the buyer, who never answers; declines where the buyer is not there


ASKS = frozenset({Behaviour.ACTION, Behaviour.ABANDON})


@contextmanager
def _no_answer_from_aws() -> Iterator[None]:
    """If the table is busy or does not answer, the provider does not answer."""
    try:
        with contention_from_aws():
            yield
    except ContentionError as error:
        raise NoAnswerError from error


class SandboxProvider:
    sources: ClassVar[frozenset[PaymentSource]] = frozenset(PaymentSource)
    needs_payment_method: ClassVar[bool] = False

    def __init__(self, table: SandboxTable, clock: Clock, behaviour: Behaviour = Behaviour.SUCCEED) -> None:
        self._row = table.charge
        self._clock = clock
        self._behaviour = behaviour

    @_no_answer_from_aws()
    def prepare(self, charge: Charge) -> str:
        self._put_once(
            self._row(
                pk=charge.charge_id,
                state=PREPARED,
                reason=NEVER_MADE,
                account_id=charge.account_id,
                amount_cents=charge.amount_cents,
                currency=charge.currency,
                source=str(charge.source),
            )
        )
        return charge.charge_id

    @_no_answer_from_aws()
    def confirm(self, ref: str, charge: Charge, *, present: bool) -> Payment:
        kept = self._change(ref, {PREPARED, DECLINED}, *self._outcome(present=present))
        if self._behaviour is Behaviour.TIMEOUT:
            raise NoAnswerError
        return self._payment(kept or self._never(ref), charge)

    @_no_answer_from_aws()
    def look(self, ref: str, charge: Charge) -> Payment:
        return self._payment(self._now(ref) or self._never(ref), charge)

    @_no_answer_from_aws()
    def give_up(self, ref: str, charge: Charge) -> Payment:
        if kept := self._now(ref):
            cancel = self._row.state.set(CANCELED)
            kept = self._change(ref, {PREPARED, DECLINED, NEEDS_BUYER}, cancel) if kept.state != CHARGED else kept
        return self._payment(kept or self._put_once(self._never(ref)), charge)

    def hear(self, event: Mapping[str, Any]) -> Heard | None:
        """``{"type": "charge.settled", "account_id": "ann", "charge_id": "..."}``; any type of ``charge.`` will do."""
        kind, account_id, charge_id = (str(event.get(name)) for name in ("type", "account_id", "charge_id"))
        purchase_id = purchase_id_of(charge_id)
        if not kind.startswith(OF_A_CHARGE) or not all(map(ID.fullmatch, (account_id, purchase_id))):
            return None
        return Heard(account_id, purchase_id, charge_id)

    @_no_answer_from_aws()
    def heard_since(self, cursor: str | None) -> tuple[list[Heard], str | None]:
        """All payments, in no order: the sandbox does not note what happened when. The cursor is None at the end."""
        start_key = {"pk": {"S": cursor}} if cursor else None
        found = self._row.scan(
            self._row.account_id.exists(),
            consistent_read=True,
            limit=A_PAGE,
            page_size=A_PAGE,
            last_evaluated_key=start_key,
        )
        heard = [Heard(row.account_id, purchase_id_of(row.pk), row.pk) for row in found]
        last = found.last_evaluated_key
        return heard, last["pk"]["S"] if last else None

    def _outcome(self, *, present: bool) -> list[Any]:
        """What becomes of a payment that is confirmed now, as actions on its row."""
        row, asks = self._row, self._behaviour in ASKS
        if asks and present:
            agrees_at = [row.agrees_at.set(self._clock.now() + AGREES_AFTER)]
            return [
                row.state.set(NEEDS_BUYER),
                row.reason.set("the buyer did not answer the bank in time"),
                row.asked_at.set(self._clock.now()),
                *(agrees_at if self._behaviour is Behaviour.ACTION else []),
            ]
        if asks:
            return [row.state.set(DECLINED), row.reason.set("the bank asks the buyer, who is not there")]
        if self._behaviour is Behaviour.DECLINE:
            return [row.state.set(DECLINED), row.reason.set("the card was declined")]
        return [row.state.set(IN_PROGRESS if self._behaviour is Behaviour.LATE else CHARGED), row.reason.set("")]

    def _now(self, ref: str) -> ChargeRow | None:
        """A payment as it is now, with what has happened to it by itself."""
        kept = self._get(ref)
        if kept is None:
            return None
        agreed = kept.agrees_at is not None and kept.agrees_at <= self._clock.now()
        if kept.state == IN_PROGRESS or (kept.state == NEEDS_BUYER and agreed):
            return self._change(ref, {kept.state}, self._row.state.set(CHARGED), self._row.reason.set(""))
        return kept

    def _change(self, ref: str, states: set[str], *actions: Any) -> ChargeRow | None:  # noqa: ANN401
        """Change a payment in one of these states. Returns it as it then is; None if there is none."""
        kept = self._row(pk=ref)
        try:
            with contention_from_aws():
                kept.update(list(actions), self._row.state.is_in(*sorted(states)))
        except UpdateError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise
            return self._get(ref)
        return kept

    def _payment(self, row: ChargeRow, charge: Charge) -> Payment:
        if row.state in NOT_CHARGED:
            return Payment(PaymentState.DECLINED, row.reason)
        state = PaymentState(row.state)
        if state is PaymentState.NEEDS_BUYER:
            page = f"https://sandbox.invalid/authenticate/{row.pk}"
            return Payment(state, action=Action(page, f"{row.pk}_secret", row.asked_at + BANK_WAITS))
        if state is not PaymentState.CHARGED:
            return Payment(state)
        as_asked = (row.amount_cents, row.currency) == (charge.amount_cents, charge.currency)
        return Payment(
            state if as_asked else PaymentState.WRONG,
            taken_cents=int(row.amount_cents or 0),
            returned_cents=int(row.returned_cents or 0),
            dispute=row.dispute,
            provider_charge=row.pk,
            receipt_url=f"https://sandbox.invalid/receipts/{row.pk}",
        )

    def _never(self, ref: str) -> ChargeRow:
        """Only an earlier release charged, and so asked for, what was not prepared."""
        return self._row(pk=ref, state=CANCELED, reason=NEVER_MADE)

    def _get(self, ref: str) -> ChargeRow | None:
        try:
            return self._row.get(ref, consistent_read=True)
        except self._row.DoesNotExist:
            return None

    def _put_once(self, row: ChargeRow) -> ChargeRow:
        """The stored row: the first one that was put under its id stays."""
        try:
            with contention_from_aws():
                row.save(self._row.pk.does_not_exist())
        except PutError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise
            return self._row.get(row.pk, consistent_read=True)
        return row
