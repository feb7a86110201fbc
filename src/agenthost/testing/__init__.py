"""Public: a whole host in one process, playbooks, and the conformance suite of each port."""
