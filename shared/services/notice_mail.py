"""Notices by e-mail: each once, to the owner, whose user name in the user pool is the account's id.

The texts are `shared/mail/<kind>.txt`: the first line is the subject. A notice of a kind without a text is one of a
newer release that was rolled back, and is not mailed. An account without a user or a verified address, such as an
agency's, gets no e-mail.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXTS = Path(__file__).parent.parent / "mail"
KINDS = frozenset(text.stem for text in TEXTS.glob("*.txt"))
NOTICE = "notice."


@dataclass(frozen=True, slots=True)
class Mail:
    subject: str
    text: str


class Mailer(Protocol):
    """Sends mail, and stores what it sent."""

    def address_of(self, account_id: str) -> str | None:
        """The verified address of the account's owner, if there is one."""
        ...

    def was_sent(self, notice_id: str) -> bool: ...
    def send(self, notice_id: str, address: str, mail: Mail) -> None: ...


def mail_notice(mailer: Mailer, event: Mapping[str, Any]) -> bool:
    """Send the e-mail of a notice, unless it was sent before or has no recipient. Returns whether it was sent.

    That it was sent is stored afterwards: after a failure in between it may be sent twice, but is never lost.
    """
    detail, kind = event["detail"], event["detail-type"].removeprefix(NOTICE)
    if kind not in KINDS:
        return False
    mail = compose(kind, detail)
    if mailer.was_sent(detail["id"]):
        return False
    address = mailer.address_of(detail["account_id"])
    if address is None:
        return False
    mailer.send(detail["id"], address, mail)
    return True


def compose(kind: str, detail: Mapping[str, Any]) -> Mail:
    facts = dict(detail)
    if "amount_cents" in facts:
        facts["price"] = "{}.{:02}".format(*divmod(facts["amount_cents"], 100))
    subject, _, text = Template((TEXTS / f"{kind}.txt").read_text()).substitute(facts).partition("\n")
    return Mail(subject, text)
