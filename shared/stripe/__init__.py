"""Stripe as a payment provider, loaded only where it is the one (see `shared.aws.wiring`)."""
