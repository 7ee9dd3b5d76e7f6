"""The use cases: each reads like the rule it carries out, and changes an account only through `ledger.Ledger`."""
