"""`python -m agenthost.cli`: the same as the command."""

import sys

from agenthost.cli.main import main

sys.exit(main())
