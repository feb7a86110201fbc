"""What a person sets of the sandbox `docker`."""

from msgspec import Struct

DEFAULT_IMAGE = "agenthost-sandbox"


class DockerSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """Containers of Docker or Podman, `[sandbox.docker]`. Times in seconds.

    `host`: the engine's address, else DOCKER_HOST or the usual sockets. `runtime`: `runc`, `crun`, `runsc`; the
    engine's own where empty. `image`: the default image. `warm`: containers that wait. `idle`: how long a workspace
    keeps its container without a run. `most`: containers that workspaces may have at once.
    """

    host: str = ""
    runtime: str = ""
    image: str = DEFAULT_IMAGE
    warm: int = 2
    idle: float = 300.0
    most: int = 32
