"""The sandbox over rooms: containers with one of our processes that waits inside, reached over a byte stream.

`sandbox` is the port, over a `Maker` of rooms; `pool` are the rooms that wait and those that workspaces have; `room`
is one container as the host sees it, `service` a run in it that goes on; `channel` is the stream, `sync` the workspace on
both sides. Nothing here knows what kind of container it is; whatever comes out of one is untrusted.
"""
