"""Connects Ledger: what the functions share.

The arrow of imports points one way: ``functions`` -> ``http`` and ``aws`` -> ``services`` -> ``ledger`` <- ``store``.
``ledger`` is pure (standard library only, no clock, no I/O) and holds every rule about Connects; ``store`` turns
one of its decisions into one conditional DynamoDB transaction.
"""
