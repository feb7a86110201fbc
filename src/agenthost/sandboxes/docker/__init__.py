"""The sandbox `docker`: containers of Docker or Podman, by the Docker API.

`engine` finds and asks the engine, `line` is the attached stream, `container` says what a container may,
`sandbox` is the port. The protocol into a container is `sandboxes.attached`.
"""
