"""The host looks itself whether work is done: at files, addresses, test reports. It never asks an agent."""
