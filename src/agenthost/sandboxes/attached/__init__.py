"""The protocol with which the host works with one of our processes that waits inside a container, over a byte stream.

`channel` is the stream, `sync` the workspace on both sides, `room` one container as the host sees it, `pool` the
rooms that wait. Nothing here knows what kind of container it is; whatever comes out of one is untrusted.
"""
