"""Folders in storage: work folders, results, caches and sources that are named by an address, as s3://b/run.

A command works on a copy in a folder of this machine, which is brought up to date when it begins, and sends
what changes there while it works. Whoever reads or writes files sees paths of that copy, and nothing of this.
"""
