"""Scheduled: the monthly Connects of every account whose cycle has begun.

Each cycle's come exactly once, issued on its first day, however late or often this runs.
"""

from shared.aws.due import serve_due
from shared.services.due import GRANTS

handler = serve_due(GRANTS)
