"""Backups of the whole library, database and bytes, and the way back from one."""
