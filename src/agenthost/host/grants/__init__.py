"""Grants: given with an answer, used in a person's place, taken back. Who may do that is decided here; what is done is in the
audit log."""
