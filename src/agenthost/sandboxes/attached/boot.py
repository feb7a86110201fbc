"""How our process gets into a container: its code goes in through its own stdin, before the protocol begins."""

import json
import zlib
from pathlib import Path

# In the order in which they need each other; all of Python's library beside.
_MODULES = ("linux", "calls", "rooms", "cage", "frames", "records", "tree", "watch", "warm", "program", "spares", "visits", "relays", "porter")  # fmt: skip
_PACKAGE = "agenthost.sandboxes.inside"
_INSIDE = Path(__file__).parent.parent / "inside"

START = """
import sys
if sys.version_info < (3, 9): sys.exit('it is Python %d.%d' % sys.version_info[:2])
first = frozenset(sys.modules)
import json, os, types, zlib
def read(left):
    held = b''
    while len(held) < left:
        piece = os.read(0, left - len(held))
        if not piece: os._exit(0)
        held += piece
    return held
code = json.loads(zlib.decompress(read(int.from_bytes(read(4), 'big'))))
for name, text in code:
    module = types.ModuleType(name)
    module.__file__ = '<' + name + '>'
    module.__path__ = []
    sys.modules[name] = module
    above, _, last = name.rpartition('.')
    if above: setattr(sys.modules[above], last, module)
    exec(compile(text, module.__file__, 'exec', dont_inherit=True), module.__dict__)
del read, code, name, text, module, above, last, json, os, types, zlib
sys.modules['agenthost.sandboxes.inside.porter'].main(first)()
"""
"""What the container's Python is started with: `python3 -c START`."""

# Devices of gVisor's own that nobody here needs, and that everybody may open.
START_AS_ROOT = (
    "import os\nfor name in ('/dev/fuse', '/dev/net/tun'):\n"
    "  if os.path.exists(name): os.unlink(name)\n"
    "del os, name\n" + START
)
"""The same as root of a kernel of the container's own."""


def code() -> bytes:
    """What is written to its stdin first."""
    words = _PACKAGE.split(".")
    modules = [(".".join(words[: count + 1]), "") for count in range(len(words))]
    modules += [(f"{_PACKAGE}.{name}", (_INSIDE / f"{name}.py").read_text()) for name in _MODULES]
    body = zlib.compress(json.dumps(modules).encode())
    return len(body).to_bytes(4, "big") + body
