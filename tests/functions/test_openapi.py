"""The API's document is what the code says. Every answer in these tests is held against it, too (tests/document.py)."""

import pytest

from shared.openapi.document import FILE, UndocumentedError, _operation, generate, text_of


def test_the_document_is_the_one_that_the_code_makes():
    assert FILE.read_text() == text_of(generate()), "routes or answers have changed: run `make openapi`"


def test_a_route_that_does_not_say_what_it_answers_is_named():
    with pytest.raises(UndocumentedError, match=r"functions/new/app.py: GET /new .* add \*\*operation"):
        _operation({"operationId": "new", "summary": "New"}, {}, "functions/new/app.py: GET /new")
