"""What an engine is: Docker or Podman, what it runs containers with, and whether it can bound them."""

from collections.abc import Mapping
from typing import Any

import aiodocker

from agenthost.core.errors import Unavailable


async def meet(docker: aiodocker.Docker) -> bool:
    """Whether the engine is Podman; from now on the connection speaks its version of the API. Raises what requests do.

    By `_ping`: Podman's answer to `version`, which the library would ask, takes seconds, as it asks the machine's
    package manager what it was installed from.
    """
    async with docker.session.get(f"{docker.docker_host}/_ping") as answer:
        answer.raise_for_status()
        if version := answer.headers.get("Api-Version", ""):
            docker.api_version = f"v{version}"
        return "Libpod-Api-Version" in answer.headers


def runtime_of(info: Mapping[str, Any], podman: bool, runtime: str) -> str:
    """The runtime that containers have of an engine that tells this of itself (`GET /info`), where `runtime` is asked
    for, or its own where that is empty.

    Raises Unavailable where it lacks that runtime; where Podman would run containers with another than that (its Docker
    API takes the name and ignores it); and where the engine ignores limits of memory, processors and processes: that of
    an ordinary user without cgroups of version 2. It says so of itself nowhere but in its log.
    """
    own = str(info.get("DefaultRuntime") or "")
    known: Mapping[str, Any] = info.get("Runtimes") or {}
    if podman and runtime and runtime != own:
        raise Unavailable(
            f'This Podman runs every container with {own}, not {runtime}. Set runtime = "{runtime}" under [engine] in its '
            "containers.conf and start it again, or take runtime out of [sandbox.docker]."
        )
    if runtime and known and runtime not in known:
        raise Unavailable(
            f"The engine has no runtime {runtime}, only {', '.join(sorted(known))}. Add it to the engine "
            "(docs/sandbox.md, 'Docker'), or set another runtime in [sandbox.docker]."
        )
    unlimited = info.get("Rootless") is True and str(info.get("CgroupVersion")) == "1"
    if unlimited or info.get("CgroupDriver") == "none":
        raise Unavailable(
            "This engine runs as an ordinary user without cgroups of version 2, so it can't limit memory and processes. "
            "Start the machine with cgroups v2 (systemd.unified_cgroup_hierarchy=1), or use an engine of root's."
        )
    return runtime or own
