"""What every channel stands on: the port that a channel fulfils, and the courier that moves messages both ways without loss.

A channel speaks one service's protocol and keeps nothing. Nothing here knows which service it is.
"""
