"""The handler of a function that does what falls due: its schedule's runs look for it, its queue's messages do it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from shared.edge.observability import count_run, flush_metrics, logger
from shared.edge.queue import due_queue
from shared.edge.wiring import deadline, warm_up, wiring, working
from shared.services.due import SETTLE, dispatch, settle_accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import date, datetime

    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from shared.ledger.commands import Settle, TellExpiring
    from shared.services.ledger import Ledger
    from shared.store.table import Due, Table

    Handler = Callable[[dict[str, Any], LambdaContext], PartialItemFailureResponse | dict[str, Any]]
    Look = Callable[[Ledger], tuple[int, datetime]]
    Work = Callable[[Ledger, Any, Callable[[], float]], object]

ONE_HOUR = timedelta(hours=1)


def up_to_today(_: Ledger, today: date) -> AbstractContextManager[date]:
    return nullcontext(today)


def serve_due(
    find: Callable[[Table, date], Iterable[Due]],
    command: Settle | TellExpiring = SETTLE,
    until: Callable[[Ledger, date], AbstractContextManager[date]] = up_to_today,
) -> Handler:
    """The Lambda handler that dispatches the accounts that ``find`` finds due, and settles those it had dispatched.

    ``command`` is what settles them, ``until`` says up to which due date they are looked for.
    """

    def look(ledger: Ledger) -> tuple[int, datetime]:
        now = ledger.clock.now()
        with until(ledger, now.date()) as day:
            found = dispatch(find(ledger.table, day), due_queue(), now)
        return found.accounts, found.oldest

    def settle(ledger: Ledger, message: Any, until: Callable[[], float]) -> None:  # noqa: ANN401 - JSON
        settle_accounts(ledger, message["accounts"], until, command)

    return serve_work("accounts", look, settle)


def serve_work(what: str, look: Look, work: Work) -> Handler:
    """The Lambda handler of a schedule that looks for work and sends it to a queue, and of that queue.

    A schedule's event is ``{"scheduled_time": ISO 8601}``, a queue's has ``Records``; the answer to those names the
    messages that failed, and only they come again.

    Args:
        what: The name of what is counted in a run's answer.
        look: Dispatches what is due; tells how much that was, and since when the oldest of it has waited.
        work: Does what one message asks for.
    """
    warm_up()
    # Where every message fails they come again like any; the dead letters' alarm is the one to hear.
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

    def take(record: SQSRecord, lambda_context: LambdaContext) -> None:
        try:
            work(wiring().ledger, record.json_body, lambda: deadline(lambda_context))
        except Exception:
            # Logged here because Powertools only counts it, and a message that is no page at all should be found too.
            logger.exception("a message was not settled whole", message_id=record.message_id)
            raise

    @logger.inject_lambda_context(clear_state=True)
    def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse | dict[str, Any]:
        try:
            with working(context):
                if "Records" in event:
                    return process_partial_response(event, take, processor, context)
                ledger = wiring().ledger
                found, oldest = look(ledger)
                count_run(event, found=found, waited_hours=(ledger.clock.now() - oldest) / ONE_HOUR)
                return {what: found}
        finally:
            flush_metrics()

    return handler
