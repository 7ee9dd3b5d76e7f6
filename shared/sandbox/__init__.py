"""What exists only where the stack's stage is ``sandbox``: a payment provider and a clock that can be moved.

Both keep their state in a table of their own, because both stand for something outside the ledger.
"""
