"""The ledger's core: every rule about Connects as pure functions over immutable state.

Read in this order: ``model`` (lots, accounts, entries), ``calendar`` (days and cycles), ``policy`` (the numbers),
``timeline`` and ``plans`` (plan and status, in whatever order their changes arrive), ``settling`` (what the calendar
brings), ``commands`` (what can happen, and where each command is), ``errors`` (what is refused), ``audit`` (the
invariants).
"""
