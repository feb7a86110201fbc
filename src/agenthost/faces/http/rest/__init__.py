"""REST: the host's own API under `/api/v1`, as tables of operations. The handlers translate; the host decides."""
