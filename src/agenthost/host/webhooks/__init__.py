"""Calls out when a task ends or asks: who is told of what, what is sent, how it is signed, and that it arrives."""
