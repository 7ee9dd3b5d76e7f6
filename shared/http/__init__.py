"""What HTTP asks of a function and how it is answered: routes, callers, request bodies, problems, signatures."""
