"""Numbers, days and pauses that rules of the calendar stumble over."""

from calendar import isleap
from datetime import date, timedelta

from shared.ledger.calendar import AnchorPolicy
from shared.ledger.policy import Policy

POLICIES = [
    Policy(),
    Policy(anchor_policy=AnchorPolicy.FIRST_OF_NEXT),
    Policy(refund_grace_days=0, interview_cap=15, interview_window_days=20),
    Policy(lot_lifetime_months=1, refund_grace_days=3, anchor_policy=AnchorPolicy.FIRST_OF_NEXT),
    Policy(lot_lifetime_months=30, monthly_plus=70, monthly_plus_free=0),
    Policy(sign_up=0, monthly_basic=0, monthly_plus=40, monthly_plus_free=40),
]
OPENED_ON = ["2024-02-29", "2023-01-31", "2022-12-30", "2024-01-29", "2023-06-10"]
PAUSES = [timedelta(seconds=1), timedelta(hours=7), *(timedelta(days) for days in (1, 15, 27, 28, 29, 30, 31, 62))]
LONG_PAUSES = [timedelta(days) for days in (365, 366, 367, 731, 1461)]


def next_leap_day(today: date) -> date:
    year = today.year
    while not isleap(year) or date(year, 2, 29) <= today:
        year += 1
    return date(year, 2, 29)
