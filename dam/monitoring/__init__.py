"""What the whole system is like, for the monitor, the status page and the doctor.

Read from catalogue, broker and disks; nothing is changed, but that a look at the PostgreSQL queue sweeps away
its dead consumers. Below the interfaces (``dam.library``, ``dam.api``, ``dam.loops``), above everything else
of the catalogue.
"""
