"""The marketplace's balance of earnings as a payment provider: a service with two-phase holds, described in api.json.

Loaded only where its address is set (see `shared.aws.wiring`).
"""
