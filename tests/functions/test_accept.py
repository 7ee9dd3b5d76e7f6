"""Which form is answered, by the examples and the rules of RFC 9110, section 12.5.1."""

import time

import pytest

from functions.accounts.app import FORMS
from shared.http.accept import preferred
from tests.functions.test_history import ask

JSON, CSV = "application/json", "text/csv"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, JSON),
        ("", JSON),
        (",", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("text/csv", CSV),
        ("text/*", CSV),
        ("TEXT/CSV", CSV),
        (" text/csv ,", CSV),
        # the higher weight
        ("text/csv, application/json;q=0.9", CSV),
        ("application/json, text/csv;q=0.9", JSON),
        ("text/csv;q=0.5, application/json;q=0.501", JSON),
        ("text/csv ; q=1.000 , application/json ; Q=0.999", CSV),
        ("application/json;q=0.2, text/*;q=0.3", CSV),
        # the more exact range has the say
        ("text/csv;q=0.1, */*;q=0.5", JSON),
        ("text/*;q=0.9, text/csv;q=0.1, application/json;q=0.5", JSON),
        ("*/*, application/json;q=0.1", CSV),
        ("text/*;q=0.3, text/plain;q=0.7, text/csv;header=present;q=0.9, application/json;q=0.8", CSV),
        # of equals the one that is named more exactly, then JSON
        ("text/csv, */*", CSV),
        ("text/csv, application/json", JSON),
        ("application/json, text/csv", JSON),
        ("text/*, */*", CSV),
        # none of it
        ("text/csv;q=0", JSON),
        ("text/csv;q=0, */*", JSON),
        ("application/json;q=0, */*", CSV),
        ("application/json;q=0, text/csv;q=0.001", CSV),
        # parameters that are true of it, and that are not
        ("text/csv; charset=utf-8", CSV),
        ('text/csv;header="present";charset=UTF-8', CSV),
        ("text/csv;charset=latin1", JSON),
        ("text/csv;header=absent, application/json;q=0.1", JSON),
        # neither may be had: JSON, as if nothing had been asked
        ("text/html", JSON),
        ("*/*;q=0", JSON),
        ("application/json;q=0", JSON),
        ("text/html, application/xhtml+xml, image/png", JSON),
        # not well-formed
        ("text/csvx", JSON),
        ("text", JSON),
        ("*", JSON),
        ("*/csv", JSON),
        ("text/csv;q=2", JSON),
        ("text/csv;q=-1", JSON),
        ("text/csv;q=0.1234", JSON),
        ("text/csv;q=high, application/json;q=0.1", JSON),
        ("text csv", JSON),
        ('application/json;x="text/csv', JSON),
        ('image/png;x="a, text/csv", application/json;q=0.1', JSON),
        ("nonsense;;;, text/csv", CSV),
        # browsers and tools
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", JSON),
        ("application/json, text/plain, */*", JSON),
    ],
)
def test_the_form_that_the_header_weighs_most(accept, form):
    assert preferred(accept, FORMS).partition(";")[0] == form


@pytest.mark.parametrize("accept", ['"\\' * 5000, "a/b" + ";a=b" * 3000, "a/b" + " " * 10_000, "," * 10_000])
def test_a_header_of_10_kb_is_weighed_in_no_time(accept):
    before = time.process_time()
    assert preferred(accept, FORMS) == FORMS[0]
    assert time.process_time() - before < 0.5


@pytest.mark.parametrize(
    ("accept", "form"),
    [("text/csv;q=0", JSON), ("application/json;q=0.1, text/csv", CSV), ("text/html", JSON), (None, JSON)],
)
def test_a_history_is_answered_in_the_form_that_is_preferred(api, accept, form):
    api.open()
    answer = ask(api, headers={"accept": accept})
    assert (answer.status, answer.headers["Content-Type"], answer.headers["Vary"]) == (200, form, "Accept")
