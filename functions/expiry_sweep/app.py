"""Scheduled: writes off the lots that have expired.

No balance depends on it: an expired lot is never spendable. The sweep writes the entry in the journal, dated at the
instant of expiry.
"""

from shared.aws.due import serve_due
from shared.services.due import EXPIRIES

handler = serve_due(EXPIRIES)
