"""What AWS gives a function: its wiring, queues, the event bus, mail, logs, metrics and the time that is left."""
