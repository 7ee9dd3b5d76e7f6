"""A simulated payment provider for tests: it charges nobody, and its behaviour can be chosen."""

from __future__ import annotations

from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

from pynamodb.exceptions import PutError

from shared.payments import Charge, ChargeResult, ChargeState, NoAnswerError
from shared.store.errors import ContentionError, contention_from_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.sandbox.table import ChargeRow, SandboxTable


class Behaviour(StrEnum):
    SUCCEED = "succeed"
    DECLINE = "decline"
    TIMEOUT = "timeout"  # charges, and the answer is lost
    LATE = "late"  # answers that it is in progress, and charges when asked again


@contextmanager
def _no_answer_from_aws() -> Iterator[None]:
    """If the table is busy or does not answer, the provider does not answer."""
    try:
        with contention_from_aws():
            yield
    except ContentionError as error:
        raise NoAnswerError from error


class SandboxGateway:
    def __init__(self, table: SandboxTable, behaviour: Behaviour = Behaviour.SUCCEED) -> None:
        self._row = table.charge
        self._behaviour = behaviour

    @_no_answer_from_aws()
    def charge(self, charge: Charge) -> ChargeResult:
        state, reason = {
            Behaviour.DECLINE: (ChargeState.DECLINED, "the card was declined"),
            Behaviour.LATE: (ChargeState.IN_PROGRESS, ""),
        }.get(self._behaviour, (ChargeState.CHARGED, ""))
        row = self._row(
            pk=charge.charge_id,
            state=state.value,
            reason=reason,
            account_id=charge.account_id,
            amount_cents=charge.amount_cents,
            currency=charge.currency,
            source=str(charge.source),
        )
        kept = self._put_once(row)
        if self._behaviour is Behaviour.TIMEOUT:
            raise NoAnswerError
        return ChargeResult(ChargeState(kept.state), kept.reason)

    @_no_answer_from_aws()
    def resolve(self, charge_id: str) -> ChargeResult:
        void = self._row(pk=charge_id, state=ChargeState.DECLINED.value, reason="the payment was never made")
        kept = self._put_once(void)
        if kept.state == ChargeState.IN_PROGRESS.value:
            kept.update([self._row.state.set(ChargeState.CHARGED.value)])
        return ChargeResult(ChargeState(kept.state), kept.reason)

    def look(self, charge_id: str) -> ChargeResult | None:
        try:
            kept = self._row.get(charge_id, consistent_read=True)
        except self._row.DoesNotExist:
            return None
        return ChargeResult(ChargeState(kept.state), kept.reason)

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
