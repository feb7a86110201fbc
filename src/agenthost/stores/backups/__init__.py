"""Back-ups of a home: one file each, made while a host runs and works, and put back into a home that nobody holds.

Used by the command line, in threads: everything here reads and writes the disk. It opens the database beside the host
that writes it, and never changes it; what a host holds in memory is no part of it, because the journal is the truth.
"""
