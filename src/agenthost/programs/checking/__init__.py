"""What proves work, as programs use it: `checks` are what the host is asked to look at, in which order, and what an
answer shows; `receipts` are what the host saw of a task, whoever judges it."""
