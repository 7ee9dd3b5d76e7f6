"""Which form of an answer a caller prefers, by the header ``Accept`` as RFC 9110, section 12.5.1, weighs it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST = 1000
"""How many characters of a header are read. Browsers send some 150."""

_WORD = r"[!#$%&'*+.^_`|~0-9a-z-]+"
_QUOTED = r'"(?:\\.|[^"\\])*"'
_PARAMETER = rf"({_WORD})=({_WORD}|{_QUOTED})"
_MEDIA = re.compile(rf"{_WORD}/{_WORD}(?:\s*;\s*{_PARAMETER})*")
_LIST = re.compile(rf'(?:[^,"]|{_QUOTED}|")+')
_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
NAMED_BY_NONE = (-3, 0)


@dataclass(frozen=True, slots=True)
class _Media:
    """A media type or a range of them, in lower case, and its parameters."""

    name: str
    parameters: dict[str, str]

    def includes(self, other: _Media) -> bool:
        """A range that has parameters includes only types that have the same ones."""
        names = {"*/*", other.name.partition("/")[0] + "/*", other.name}
        return self.name in names and self.parameters.items() <= other.parameters.items()

    @property
    def exactness(self) -> tuple[int, int]:
        return -self.name.count("*"), len(self.parameters)


def preferred(accept: str | None, forms: Sequence[str]) -> str:
    """The form with the highest weight; of equals the one that is named most exactly, then the first.

    A form has the weight of the most exact of the ranges that include it. If the header accepts none, it is the first,
    as the RFC allows: an answer in another form serves a caller better than none. Malformed ranges are ignored.

    Args:
        accept: The header, or None.
        forms: Media types, each with the parameters that are true of it: ``text/csv; charset=utf-8``.
    """
    ranges = _weighed(accept[:LONGEST].lower()) if accept else []
    best, most = forms[0], (0.0, NAMED_BY_NONE)
    for form in forms:
        found = [(each.exactness, weight) for each, weight in ranges if each.includes(_media(form))]
        exactness, weight = max(found, default=(NAMED_BY_NONE, 0.0))
        if weight and (weight, exactness) > most:
            best, most = form, (weight, exactness)
    return best


def _weighed(accept: str) -> list[tuple[_Media, float]]:
    """The ranges that a header names, each with its weight."""
    named = [_media(text) for text in _LIST.findall(accept) if _MEDIA.fullmatch(text.strip())]
    weights = [media.parameters.pop("q", "1") for media in named]
    pairs = zip(named, weights, strict=True)
    return [(media, float(weight)) for media, weight in pairs if _WEIGHT.fullmatch(weight)]


def _media(text: str) -> _Media:
    name, _, parameters = text.strip().partition(";")
    return _Media(name.strip(), {name: value.strip('"') for name, value in re.findall(_PARAMETER, parameters)})
