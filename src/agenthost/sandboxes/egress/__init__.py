"""The way out of a sandbox that has hosts granted: names are answered, connections are checked and passed on.

The host's side alone, whichever sandbox it serves: a back end hands in connections and datagrams that it took
inside (`Egress.handle`, `Egress.answer`); nothing here runs in a sandbox, and nothing reaches out but `Way`.
"""
