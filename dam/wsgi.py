"""The WSGI application of the catalogue."""

import os

from django.core.wsgi import get_wsgi_application

from dam.api.complete_body import require_complete_bodies

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dam.settings")
application = require_complete_bodies(get_wsgi_application())
