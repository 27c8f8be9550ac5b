"""Everything that `vitrine doctor` looks at, in the order in which it is told."""

from __future__ import annotations

from dam.monitoring.doctor.broker import BROKER
from dam.monitoring.doctor.certificates import CERTIFICATES
from dam.monitoring.doctor.configuration import CONFIGURATION
from dam.monitoring.doctor.database import DATABASE
from dam.monitoring.doctor.installation import INSTALLATION
from dam.monitoring.doctor.servers import EMBEDDED, SERVERS
from dam.monitoring.doctor.storage import BLOBS, DISKS, PERMISSIONS
from dam.monitoring.doctor.variables import ENVIRONMENT
from dam.monitoring.doctor.work import WORK

AREAS = (
    INSTALLATION,
    ENVIRONMENT,
    CONFIGURATION,
    PERMISSIONS,
    DATABASE,
    BROKER,
    BLOBS,
    DISKS,
    SERVERS,
    CERTIFICATES,
    EMBEDDED,
    WORK,
)
