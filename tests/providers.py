"""Payment providers that do something else than the sandbox's."""

from typing import Any, ClassVar

from shared.ledger.purchases import PaymentSource
from shared.payments import NoAnswerError


class Instead:
    """A provider with some of its methods replaced: ``Instead(provider, confirm=silent)``."""

    sources: ClassVar[frozenset[PaymentSource]] = frozenset(PaymentSource)
    needs_payment_method: ClassVar[bool] = False

    def __init__(self, provider: Any, **methods: Any) -> None:
        self._provider = provider
        vars(self).update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)


def silent(*_: Any, **__: Any) -> Any:
    """Does not answer, and nothing happens."""
    raise NoAnswerError
