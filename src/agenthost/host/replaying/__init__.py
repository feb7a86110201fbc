"""Tasks done over: decided again and compared, taken along in one file, gone on with from an event, tried with another model.

What decides again (`comparing`, `archive`, `suite`) is without a host and without a home: it reads what was recorded and
performs nothing. `desk` is what a host offers of it. Nothing here calls a tool or runs a command.
"""
