"""Figures of this project beside its floors and its peers, all of one run and one machine.

`python -m bench` (or `make bench`) measures; nothing here is imported by the product. Each subject
lives in a process of its own (`worker`), all talk to one fake model server (`fake_model`). What
can't be measured is reported with its reason, never left out. This file imports nothing: the peers'
environment, which has none of our libraries, runs `bench.worker` too.
"""
