"""HTTP: the host's API, on its local socket so far."""
