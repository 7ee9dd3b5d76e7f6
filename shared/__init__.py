"""Connects Ledger: what the functions share.

Imports point one way: ``functions`` -> ``http`` -> ``aws`` -> ``services`` -> ``store`` -> ``ledger``; see README.md.
``ledger`` is pure (standard library only, no clock, no I/O) and holds every rule about Connects; ``store`` turns
one of its decisions into one conditional DynamoDB transaction.
"""
