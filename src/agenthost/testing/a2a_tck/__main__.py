"""`python -m agenthost.testing.a2a_tck FOLDER [--grpc-port N] [--webhook HOST:PORT]...`"""

import argparse
import sys
from pathlib import Path

from agenthost.testing.a2a_tck.home import write_home

made = argparse.ArgumentParser("python -m agenthost.testing.a2a_tck", description="Write a home for A2A's suites.")
made.add_argument("folder", type=Path)
made.add_argument("--grpc-port", type=int, default=0)
made.add_argument(
    "--webhook",
    action="append",
    default=[],
    help="an address that notifications may go to, instead of any port of this machine",
)
args = made.parse_args()
write_home(args.folder, args.grpc_port, tuple(args.webhook))
sys.stdout.write(f"Written. Now: AGENTHOST_HOME={args.folder.resolve()} agenthost up\n")
