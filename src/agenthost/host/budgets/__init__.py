"""What may be spent in a day and by whom, and who raises it. The engine reads it before each call; nothing here calls a model."""
