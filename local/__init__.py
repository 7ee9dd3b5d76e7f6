"""The whole product on one machine: engines to test against, the stack to play with."""
