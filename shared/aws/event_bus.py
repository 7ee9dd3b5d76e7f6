"""Publishing on the event bus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.aws.observability import logger
from shared.services.events import SOURCE
from shared.services.outbox import UnpublishedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.services.events import Event

TIMES = Config(connect_timeout=1, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})


class EventBus:
    def __init__(self, name: str) -> None:
        self._name = name
        self._client: Any = boto3.client("events", config=TIMES)

    def put(self, events: Sequence[Event]) -> None:
        """Publish up to ten events.

        Raises:
            UnpublishedError: the bus did not take all of them.
        """
        entries = [
            {"EventBusName": self._name, "Source": SOURCE, "DetailType": event.type, "Detail": event.json}
            for event in events
        ]
        try:
            answer = self._client.put_events(Entries=entries)
        except (ClientError, BotoCoreError) as error:
            logger.exception("the bus did not answer or refused the call")
            raise UnpublishedError from error
        if answer["FailedEntryCount"]:
            refused = [entry for entry in answer["Entries"] if "ErrorCode" in entry]
            logger.error("the bus did not take every event", refused=refused)
            raise UnpublishedError(str(refused))
