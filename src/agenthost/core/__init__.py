"""The words everybody uses: ids, parts, commands, events, manifests, errors and the ports.

Anyone may import it. It imports nothing of ours above it, does no I/O, keeps no state, and
never learns who implements a port.
"""
