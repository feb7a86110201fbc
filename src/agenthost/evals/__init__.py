"""Measures with labelled sets of our own: how often the host is right where nobody can prove it once and for all.

Each set has a package: its data, a scorer over the same pure parts that a host runs, and the figures that the docs publish. What a set
says is never read by a host, and nothing here is loaded by one.
"""
