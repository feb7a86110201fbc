"""The process between the host and llama.cpp: `python -m agenthost.models.llamacpp.child WHAT PARENT [COMMAND...]`.

- `about`: says as JSON which xllamacpp is here and which devices it can use.
- `serve`: reads its orders (one line of JSON, `Orders`) from stdin, serves the model on loopback, and says where on stdout.
- `run`: becomes the command (llama-server), or stays above it where it is a script, whose own children nobody else would end.

Whichever it is, it ends with the host, also when the host is killed: the kernel sees to it on Linux, the end of stdin
elsewhere and above a script. It leads a process group of its own. Orders come by stdin because they hold the key, and arguments can be read by every user of a machine.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1


def main(words: list[str]) -> int:
    """Do what the first word says; the second is the host's process id."""
    what, parent, *command = words
    if what == "about":
        sys.stdout.write(json.dumps(_about()) + "\n")
        return 0
    if what == "run":
        return _run(command, int(parent))
    _die_with(int(parent))
    _serve(json.loads(sys.stdin.readline()))


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when the host ends; where it ended already, end now."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _package() -> Any:
    """xllamacpp; it has no types."""
    return importlib.import_module("xllamacpp")


def _about() -> dict[str, Any]:
    xllamacpp = _package()
    devices = [
        {"name": device["description"], "kind": device["name"], "memory": _own_memory(device)}
        for device in xllamacpp.get_device_info()
        if "GPU" in str(device["type"])
    ]
    return {"version": xllamacpp.__version__, "devices": devices}


def _own_memory(device: dict[str, Any]) -> int:
    """Bytes of a GPU's own memory; 0 where it is the processors'."""
    return 0 if "IGPU" in str(device["type"]) else device["memory_total"]


def _run(command: list[str], parent: int) -> int:
    if sys.platform == "linux" and not _script(command[0]):
        _die_with(parent)  # what the kernel was asked for holds for what this process becomes
        os.execvp(command[0], command)
    if os.getppid() != parent:
        return 1
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_watch, daemon=True).start()
    code = server.wait()
    if code < 0:  # the host is to hear of the signal
        os.kill(os.getpid(), -code)
    return code


def _script(path: str) -> bool:
    """Whether another program runs it, which may start the server as a child of its own."""
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def _watch() -> None:
    """Wait for the host to let go of stdin, and end with all that was started here."""
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


def _serve(orders: dict[str, Any]) -> NoReturn:
    xllamacpp = _package()
    threading.Thread(target=_watch, daemon=True).start()
    params = xllamacpp.CommonParams()
    params.model.path = orders["path"]
    params.model_alias = {orders["name"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0  # any that is free; `listening_address` says which
    params.api_keys = [orders["key"]]
    params.n_ctx = orders["context"] * orders["slots"]
    params.n_parallel = orders["slots"]
    params.n_batch = max(params.n_batch, orders["batch"])
    params.n_ubatch = orders["batch"]
    params.cache_ram_mib = orders["cache"] // 1024**2
    params.fit_params = False  # the host has chosen what fits
    params.ui = False
    params.embedding = orders["embeddings"]
    if orders["gpu_layers"] is not None:
        params.n_gpu_layers = orders["gpu_layers"]
    if orders["threads"]:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = orders["threads"]
    if orders["projector"]:
        params.mmproj.path = orders["projector"]
    if orders["template"]:
        params.chat_template = orders["template"]
    if orders["pooling"]:
        params.pooling_type = getattr(xllamacpp.llama_pooling_type, f"LLAMA_POOLING_TYPE_{orders['pooling'].upper()}")
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        sys.exit(str(error))
    sys.stdout.write(json.dumps({"url": server.listening_address}) + "\n")
    sys.stdout.flush()
    threading.Event().wait()
    raise SystemExit


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
