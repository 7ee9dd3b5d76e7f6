"""The ministack server, with two differences from AWS mended that the stack depends on.

It runs in a process of its own (`python -m local.server`), configured by its environment; see local/ministack.py.
"""

from datetime import UTC, datetime
from typing import Any

from ministack import app  # type: ignore[import-untyped]
from ministack.core import iam_actions  # type: ignore[import-untyped]
from ministack.services import eventbridge  # type: ignore[import-untyped]

SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"


def tell_schedules_their_time() -> None:
    """EventBridge Scheduler replaces this in a schedule's input with the time; ministack leaves it as it is."""
    invoke = eventbridge._invoke_target  # noqa: SLF001

    def invoke_with_time(target: dict[str, Any], event: dict[str, Any], rule: Any, view: Any = None) -> None:  # noqa: ANN401
        if event.get("Source") == "aws.scheduler" and "Input" in target:
            moment = datetime.fromtimestamp(event["Time"], tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            target = {**target, "Input": target["Input"].replace(SCHEDULED_TIME, moment)}
        invoke(target, event, rule, view)

    eventbridge._invoke_target = invoke_with_time  # noqa: SLF001


def authorise_batches_as_single_calls() -> None:
    """On AWS the action `sqs:SendMessage` allows SendMessageBatch; ministack checks an action of that name instead."""
    extract = iam_actions.extract_iam_action

    def extract_single(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        action = extract(*arguments, **named)
        if isinstance(action, str) and action.startswith("sqs:"):
            return action.removesuffix("Batch")
        return action

    iam_actions.extract_iam_action = extract_single


if __name__ == "__main__":
    tell_schedules_their_time()
    authorise_batches_as_single_calls()
    app.main()
