"""The WSGI application of the catalogue."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from dam.api.complete_body import require_complete_bodies

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dam.settings")
application = require_complete_bodies(get_wsgi_application())
# All pages with what they need: once, before gunicorn forks, and not in the first request of each process.
get_resolver().url_patterns  # noqa: B018 - loaded by being asked for
