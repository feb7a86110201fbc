"""What goes over the wire between a host's face and its client: bodies, errors, streams, the socket.

Both ends use it, so that what one writes the other reads. It knows no web framework and no HTTP library.
"""
