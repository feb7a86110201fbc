"""Checks as programs use them: what the host is asked to look at, in which order, and what an answer shows."""
