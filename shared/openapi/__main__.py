"""``python -m shared.openapi`` regenerates the document."""

from shared.openapi.document import FILE, generate, text_of

FILE.write_text(text_of(generate()), encoding="utf-8")
