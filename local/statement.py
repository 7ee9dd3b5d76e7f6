"""An account's statement as a table, and its balance over time as a chart of characters."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

Entry = dict[str, Any]

CHART_ROWS = 10
LABELLED = 5
"""Every fifth row is labelled with the balance at its upper edge."""
AXIS = 6
EIGHTHS = " ▁▂▃▄▅▆▇█"
ROUND = (1, 2, 5, 10, 20, 25, 40, 50, 100, 200, 250, 500, 1000)
COLOURS = {
    "grant": "green",
    "reward": "green",
    "promo": "green",
    "purchase": "green",
    "refund": "cyan",
    "release": "cyan",
    "expiry": "yellow",
    "chargeback": "red",
}
WORDS = {
    "grant": "given",
    "reward": "rewarded",
    "promo": "by promo code",
    "purchase": "bought",
    "refund": "refunded",
    "release": "released",
    "spend": "spent",
    "hold": "held",
    "expiry": "expired",
    "chargeback": "taken back",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """Something to point out below the chart."""

    at: datetime
    label: str


def statement(entries: Sequence[Entry]) -> Table:
    """The entries, oldest first."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Date", no_wrap=True)
    table.add_column("Type")
    table.add_column("Amount", justify="right")
    table.add_column("Balance\nafter", justify="right")
    table.add_column("Reason")
    jobs = {entry["id"]: entry["reference"].get("job_id") for entry in entries}
    for entry in entries:
        colour = COLOURS.get(entry["type"], "default")
        table.add_row(
            entry["at"][:10],
            f"[{colour}]{entry['type']}[/]",
            f"[{colour}]{entry['amount']:{'+d' if entry['amount'] else 'd'}}[/]",
            str(entry["balance_after"]),
            _reason(entry, jobs),
        )
    return table


def totals(entries: Sequence[Entry]) -> str:
    """The entries' amounts added up by type, as a sum."""
    sums: Counter[str] = Counter()
    for entry in entries:
        sums[entry["type"]] += entry["amount"]
    terms = [f"{abs(sums[name])} {word}" for name, word in WORDS.items() if sums[name] > 0]
    terms += [f"- {abs(sums[name])} {word}" for name, word in WORDS.items() if sums[name] < 0]
    return " + ".join(terms).replace("+ -", "-") + f" = {sum(sums.values())}"


def chart(entries: Sequence[Entry], until: datetime, marks: Sequence[Mark], width: int) -> Text:
    """The balance from the first entry (the oldest) until `until`: an area with both axes and the marks."""
    start = _at(entries[0])
    columns = width - AXIS
    step = (until - start) / columns
    heights = _heights(entries, [start + step * (column + 1) for column in range(columns)])
    unit = _unit(max(heights))
    text = Text()
    for row in reversed(range(CHART_ROWS)):
        edge = (row + 1) * unit
        text.append(f"{edge:>{AXIS - 2}} " if row % LABELLED == LABELLED - 1 else " " * (AXIS - 1), "dim")
        text.append("│", "dim").append("".join(_cell(height, row, unit) for height in heights), "green").append("\n")
    text.append(f"{0:>{AXIS - 2}} └{'─' * columns}\n", "dim")
    for line in [*_months(start, until, step, columns), *_marked(marks, start, step, columns)]:
        text.append(f"{' ' * AXIS}{line}\n", "default" if "▲" in line else "dim")
    return text


def _reason(entry: Entry, jobs: dict[str, str | None]) -> str:
    about = entry["reference"]
    job = about.get("job_id") or jobs.get(about.get("spend_id", ""))
    return f"{entry['reason']}: {job}" if job else str(entry["reason"])


def _at(entry: Entry) -> datetime:
    return datetime.fromisoformat(entry["at"])


def _heights(entries: Sequence[Entry], ends: Sequence[datetime]) -> list[int]:
    """The balance at the end of each column."""
    heights, waiting, balance = [], list(entries), 0
    for end in ends:
        while waiting and _at(waiting[0]) <= end:
            balance = waiting.pop(0)["balance_after"]
        heights.append(balance)
    return heights


def _unit(highest: int) -> int:
    """How many Connects one row of characters stands for, a round number."""
    return next((unit for unit in ROUND if unit * CHART_ROWS >= highest), highest // CHART_ROWS + 1)


def _cell(height: int, row: int, unit: int) -> str:
    eighths = round((height - row * unit) / unit * 8)
    return EIGHTHS[max(0, min(8, eighths))]


def _months(start: datetime, until: datetime, step: timedelta, columns: int) -> list[str]:
    marks = []
    first = start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while (first := (first + timedelta(days=32)).replace(day=1)) < until:
        marks.append((int((first - start) / step), f"{first:%b}"))
    line = [" "] * columns
    for column, name in marks:
        if column + len(name) <= columns:
            line[column : column + len(name)] = name
    return ["".join(line)]


def _marked(marks: Sequence[Mark], start: datetime, step: timedelta, columns: int) -> list[str]:
    """Each mark under its column: left of it near the right edge, a line lower where there is no room."""
    lines: list[list[str]] = []
    for mark in marks:
        column = min(columns - 1, int((mark.at - start) / step))
        shown = f"▲ {mark.label}"
        if column + len(shown) > columns:
            shown = f"{mark.label} ▲"
            column -= len(shown) - 1
        room = slice(max(0, column - 1), column + len(shown) + 1)
        line = next((line for line in lines if not "".join(line[room]).strip()), None)
        if line is None:
            lines.append(line := [" "] * columns)
        line[column : column + len(shown)] = shown
    return ["".join(line) for line in lines]
