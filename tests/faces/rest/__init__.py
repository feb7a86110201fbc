"""REST, over a real host."""
