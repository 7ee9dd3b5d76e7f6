"""Scheduled: writes off the lots that have expired.

No balance waits for it: an expired lot is never spendable. The sweep gives the journal its row, dated at the instant
of expiry.
"""

from shared.edge.due import serve_due
from shared.store.table import Table

handler = serve_due(Table.due_expiries)
