"""The WSGI application of the catalogue."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dam.settings")
application = get_wsgi_application()
