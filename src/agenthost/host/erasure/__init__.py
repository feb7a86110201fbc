"""What is taken away for good: one task, all of a person's, a namespace; and what is older than the settings keep."""
