"""AgentHost: a self-hosted platform that hosts AI agents.

Floors (a package imports only from floors below it): core; then programs, models, sandboxes,
stores, scripts, tools; then engine and client; then host; then faces; then cli and testing.
docs/architecture.md draws the house.
"""

__version__ = "0.1.0"
