"""Scheduled: tells owners of Connects that are about to expire, 30, 7 and 1 days ahead by default.

Once for each day of expiry and number of days, and only while any are left. A run that comes late tells of what is
most urgent, and of nothing else. After a change of the settings that due dates are computed by, a run looks at every
account once.
"""

from shared.edge.due import serve_due
from shared.ledger.commands import TellExpiring
from shared.services.due_dates import day_to_look_until
from shared.store.table import Table

handler = serve_due(Table.due_notices, TellExpiring(), day_to_look_until)
