"""Scheduled: tells owners of Connects that are about to expire, 30, 7 and 1 days ahead by default.

Once for each day of expiry and number of days, and only while any are left. A run that comes late tells of what is
most urgent, and of nothing else.
"""

from shared.edge.due import serve_due
from shared.ledger.commands import TellExpiring
from shared.services.due import NOTICES

handler = serve_due(NOTICES, TellExpiring())
