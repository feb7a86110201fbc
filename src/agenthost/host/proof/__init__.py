"""Evidence packs: made from a task's journal when they are asked for, never kept in a place of their own that could differ."""
