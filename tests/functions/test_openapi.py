"""The API's document is what the code says. Every answer in these tests is held against it, too (tests/document.py)."""

import pytest

from shared.http.operations import Operation
from shared.openapi.document import FILE, UndocumentedError, _operation, generate, text_of


def test_the_document_is_the_one_that_the_code_makes():
    assert FILE.read_text() == text_of(generate()), "routes or answers have changed: run `make openapi`"


@pytest.mark.parametrize(
    ("answers", "refuses", "unknown"),
    [({200: "New"}, (), "answers has no New"), ({}, ("new",), "{'new'} have no status")],
)
def test_a_route_that_answers_what_nothing_describes_is_named(answers, refuses, unknown):
    operation = Operation("GET /new", "new", "New", "anyone", answers, refuses, None, (), lambda: None)
    with pytest.raises(UndocumentedError, match=f"GET /new: .*{unknown}"):
        _operation(operation, {"parameters": []}, {})
