"""Scheduled: the monthly Connects of every account whose cycle has begun.

Each cycle's come exactly once, issued on its first day, however late or often this runs.
"""

from shared.edge.due import serve_due
from shared.store.table import Table

handler = serve_due(Table.due_grants)
