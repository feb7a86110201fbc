"""The sandbox `functions`: code and files go to an executor function at Google, output and files come back.

The function is in `deploy/functions`. What it answers is taken as a stranger's: sizes, paths and hashes are checked, and
ordinary files alone are written, beneath the workspace. Nothing here opens a connection: the host gives a `Post`.
"""
