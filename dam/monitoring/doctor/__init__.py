"""``vitrine doctor``: looks at everything that an installation stands on, and says how to mend it.

A check is a function that returns what it found. Nothing is changed but a probe in the blob store, which is
deleted again; every statement runs in a read-only transaction.
"""
