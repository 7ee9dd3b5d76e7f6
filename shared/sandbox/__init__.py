"""Only in stacks of the stage ``sandbox``: a payment provider and a clock that can be moved.

Both store their state in a table of their own, as both stand for something outside of the ledger.
"""
