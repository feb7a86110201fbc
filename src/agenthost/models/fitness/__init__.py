"""Finds out what a model really does, whatever it claims: a probe through the port, its result kept by name.

A probe's questions are made anew each time, at random, so that no answer can be known before. It writes nothing but
its result, and says what it used.
"""
