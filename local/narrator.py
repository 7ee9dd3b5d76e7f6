"""Makes the demo's calls to the API and prints each request and what came of it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

WIDEST = 120
INDENT = 2
LONG_ID = re.compile(r"\b[a-z0-9]{20,}\b")
ID_SHOWN = 6
TIMEOUT_S = 40  # a function's first call takes seconds on a busy machine
SHOWN_HEADERS = {"X-Sandbox-Payment"}


class DemoError(Exception):
    """Why the demo cannot go on, in a line for a person."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: dict[str, Any]
    replayed: bool


def day(text: str) -> str:
    """`2027-02-21T...` or `2027-02-21` as people write it."""
    found = datetime.fromisoformat(text)
    return f"{found.day} {found:%b %Y}"


def dollars(cents: int) -> str:
    return f"${cents / 100:.2f}"


def short_ids(text: str) -> str:
    return LONG_ID.sub(lambda found: found[0][:ID_SHOWN] + "…", text)


class Narrator:
    def __init__(self, console: Console, api_url: str, tokens: dict[str, str]) -> None:
        self.console = console
        self.calls = 0
        self._api = httpx.Client(base_url=api_url, timeout=TIMEOUT_S)
        self._tokens = tokens
        self._now = datetime.now(UTC).isoformat()
        self._asides: list[tuple[str, int]] = []

    # --- Calls ------------------------------------------------------------------------------------------------

    def call(
        self,
        who: str,
        request: str,
        expect: int,
        *,
        note: str = "",
        aside: bool = False,
        headers: dict[str, str] | None = None,
        **body: Any,  # noqa: ANN401 - JSON
    ) -> Answer:
        """Make one call with somebody's token.

        Args:
            who: Whose token: `ann`, `service` or `staff`.
            request: As in `GET /accounts/ann`.
            expect: The expected status; any other ends the demo.
            note: What else to print of the request.
            aside: Print it together with similar calls, in one line before the next line of the step.
            headers: The request's own.
            body: Its JSON; no body where there is none.

        Raises:
            DemoError: another status than expected.
        """
        method, path = request.split(" ")
        headers = headers or {}
        signed = headers | {"Authorization": f"Bearer {self._tokens[who]}"}
        response = self._api.request(method, path, headers=signed, json=body or None)
        self.calls += 1
        answer = Answer(response.status_code, _json(response), "Idempotent-Replayed" in response.headers)
        notes = [note, *(f"{name}: {value}" for name, value in headers.items() if name in SHOWN_HEADERS)]
        if aside:
            self._asides.append((f"{method} {path.partition('?')[0]}", answer.status))
        else:
            self._tell_call(who, method, path, " ".join(filter(None, notes)), answer)
        if answer.status != expect:
            detail = answer.body.get("detail") or answer.body.get("message") or response.text[:200] or "no more is said"
            raise DemoError(f"{method} {path} answered {answer.status}, not {expect}: {detail}")
        return answer

    def move_clock(self, advance: str, *, aside: bool = False) -> Answer:
        """Move the sandbox's clock ahead, which runs everything that falls due."""
        note = f'{{"advance": "{advance}"}}'
        moved = self.call("staff", "POST /sandbox/clock", 200, note=note, aside=aside, advance=advance)
        self._now = moved.body["now"]
        return moved

    def begin(self) -> None:
        """Ask for the time on the sandbox's clock, without printing the call."""
        self.move_clock("PT1S", aside=True)
        self._asides.clear()

    @property
    def now(self) -> datetime:
        return datetime.fromisoformat(self._now)

    # --- Words ------------------------------------------------------------------------------------------------

    def chapter(self, title: str) -> None:
        self.console.print()
        self.console.rule(f"[bold]{title}", align="left", style="cyan")

    def step(self, what: str) -> None:
        self.console.print()
        line = Table.grid(padding=(0, 1))
        line.add_row(f"[cyan]{day(self._now):>11}[/]", f"[bold]{what}[/]")
        self.console.print(line, highlight=False)

    def outcome(self, what: str, balance: int | None = None) -> None:
        self._tell_asides()
        line = Table.grid(expand=True, padding=(0, 1))
        line.add_column(width=1)
        line.add_column(ratio=1)
        cells = ["[green]>[/]", short_ids(what)]
        if balance is not None:
            line.add_column(justify="right", no_wrap=True)
            cells.append(f"balance [bold]{balance:>4}[/]")
        line.add_row(*cells)
        self._print(line)

    def complaint(self, quoted: str, answer: str) -> None:
        """Print what users of such systems complain of, and the answer of this one."""
        self.console.print()
        box = Table.grid(padding=(0, 1))
        box.add_column(width=1)
        box.add_column()
        box.add_row("[magenta]┃[/]", f"[bold magenta]“{quoted}”[/]")
        for line in Text(answer).wrap(self.console, self.console.width - 2 * INDENT - 2):
            box.add_row("[magenta]┃[/]", line)
        self._print(box)

    def _tell_asides(self) -> None:
        grouped: dict[str, list[str]] = {}
        for request, status in self._asides:
            grouped.setdefault(re.sub(r"/accounts/[^/ ]+", "…", request), []).append(str(status))
        self._asides.clear()
        if grouped:
            calls = " · ".join(f"{request} {' '.join(found)}" for request, found in grouped.items())
            self._print(Text(calls, style="dim", overflow="ellipsis", no_wrap=True))

    def _tell_call(self, who: str, method: str, path: str, note: str, answer: Answer) -> None:
        self._tell_asides()
        line = Table.grid(expand=True, padding=(0, 1))
        line.add_column(width=7)
        line.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        line.add_column(justify="right", no_wrap=True)
        request = Text.assemble((method, "bold"), f" {short_ids(path)}  ", (note, "dim"))
        colour = "green" if answer.status < 400 else "yellow"  # noqa: PLR2004 - a refusal
        line.add_row(f"[dim]{who}[/]", request, f"[{colour}]{answer.status}[/]")
        self._print(line)
        if answer.replayed:
            self._print(Padding("[cyan]Idempotent-Replayed: true[/]", (0, 0, 0, 8)))

    def _print(self, what: Any) -> None:  # noqa: ANN401 - whatever rich can render
        self.console.print(Padding(what, (0, 0, 0, INDENT)), highlight=False)


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
