"""The store's schema and its history; `python -m services.scoring.store.migrate` applies it, on both engines.

A script in `versions/` is one change. One that was released is never edited; a new one gets the next number, its
`revision` and `down_revision`, and only adds: a program that runs does not know it yet.
"""
