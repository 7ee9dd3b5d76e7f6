"""The history while the account is written: each reader sees one story, whole and right to the row."""

import json

from shared.ledger.model import Entry
from shared.ledger.policy import Policy
from shared.services.history import EntryQuery, history_json
from shared.services.views import entry_view
from tests.driver import deadline
from tests.engines.test_races import at_once


def story(driver, limit):
    """All rows of the last years, page by page."""
    rows, cursor = [], None
    while True:
        asked = EntryQuery("ann", limit, 90, driver.clock.at.replace(year=2000), None, None, cursor)
        page = json.loads(history_json(driver.ledger, asked, deadline=deadline()))
        rows += page["entries"]
        if (cursor := page["next_cursor"]) is None:
            return rows


def test_readers_see_a_whole_story_while_what_is_pending_is_written(driver):
    """18 rows are pending at first; 16 spend, 16 read, in pages that may begin before a write and end after it."""
    driver.policy = Policy()
    driver.at("2024-01-31").open()
    driver.at("2025-04-30")
    spenders = [lambda number=number: driver.spend(1, str(number)) for number in range(16)]
    readers = [lambda limit=limit: story(driver, limit) for limit in range(1, 17)]
    results = at_once(*spenders, *readers)
    journal = [entry_view(entry) for entry in driver.journal()]
    assert all(isinstance(spent.entry, Entry) for spent in results[:16])
    assert len(journal) == 2 + 18 + 16
    for rows in results[16:]:
        assert len(rows) >= 2 + 18
        assert rows == journal[: len(rows)][::-1]
    assert story(driver, 100) == journal[::-1]
