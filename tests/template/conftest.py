import pytest

from tests.template.transform import Json, source, transform


@pytest.fixture(scope="session")
def written() -> Json:
    return source()


@pytest.fixture(scope="session")
def production() -> Json:
    return transform(Stage="production")


@pytest.fixture(scope="session")
def sandbox() -> Json:
    return transform(Stage="sandbox")


@pytest.fixture(params=["production", "sandbox"])
def stack(request) -> Json:
    return request.getfixturevalue(request.param)
