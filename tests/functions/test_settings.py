"""What the functions read from their environment: a setting that makes no sense is named before anything is done."""

import pytest

from shared.config import ConfigurationError, Settings
from tests.functions.conftest import SETTINGS


@pytest.fixture(autouse=True)
def tables():
    """Nothing here asks for one."""


def certifications(text):
    return Settings.read(SETTINGS | {"CERTIFICATION_CONNECTS": text}).policy.certifications


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("python=10", {"python": 10}),
        ("python=10,design=5", {"python": 10, "design": 5}),
        (" python = 10 , design=5, ", {"python": 10, "design": 5}),
        ("go-2_x=0", {"go-2_x": 0}),
    ],
)
def test_certificates_are_read_as_names_and_whole_numbers(text, expected):
    assert certifications(text) == expected


def test_without_that_setting_no_certificate_brings_anything():
    environ = {name: value for name, value in SETTINGS.items() if name != "CERTIFICATION_CONNECTS"}
    assert Settings.read(environ).policy.certifications == {}


@pytest.mark.parametrize(
    "text",
    [
        "python",
        "python=",
        "=10",
        "=",
        "python=ten",
        "python=-1",
        "python=1.5",
        "python=1e3",
        "python=10=5",
        "python=10;design=5",
        "python=10,design",
        "python=10,python=10",
        "python=10, python =5",
        '{"python": 10}',
    ],
)
def test_certificates_that_make_no_sense_are_refused_by_their_setting(text):
    with pytest.raises(ConfigurationError, match="CERTIFICATION_CONNECTS"):
        certifications(text)


NUMBERS = [
    "RISING_TALENT_CONNECTS",
    "INTERVIEW_CONNECTS",
    "INTERVIEW_CAP_CONNECTS",
    "INTERVIEW_WINDOW_DAYS",
    "BADGE_MIN_PRICE",
    "BADGE_MAX_PRICE",
    "BADGE_PRICE_STEP",
    "BOOST_PLACES",
    "AUCTION_DAYS",
]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [None, "", "-1", "1.5", "many"])
def test_a_number_that_is_missing_or_none_is_refused_by_its_setting(name, value):
    environ = {key: text for key, text in (SETTINGS | {name: value}).items() if text is not None}
    with pytest.raises(ConfigurationError, match=name):
        Settings.read(environ)


@pytest.mark.parametrize("name", ["RISING_TALENT_CONNECTS", "INTERVIEW_CONNECTS"])
def test_a_reward_of_nothing_is_refused(name):
    with pytest.raises(ConfigurationError, match=name.removesuffix("_CONNECTS").lower()):
        Settings.read(SETTINGS | {name: "0"})


@pytest.mark.parametrize("wrong", [{"BADGE_MIN_PRICE": "0"}, {"BADGE_MAX_PRICE": "3"}, {"BADGE_PRICE_STEP": "0"}])
def test_a_price_of_the_badge_without_sound_bounds_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="badge"):
        Settings.read(SETTINGS | wrong)


@pytest.mark.parametrize("name", ["BOOST_PLACES", "AUCTION_DAYS"])
def test_an_auction_of_no_places_or_no_days_is_refused(name):
    with pytest.raises(ConfigurationError, match="boost_places and auction_days"):
        Settings.read(SETTINGS | {name: "0"})
