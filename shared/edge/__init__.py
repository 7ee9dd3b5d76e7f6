"""The HTTP edge and the wiring of a function: who calls, what was sent, what is answered. Rules live elsewhere."""
