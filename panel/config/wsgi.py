"""Pages and API."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "panel.config.settings")
_django = get_wsgi_application()

from panel.config.unchanged import Unchanged  # noqa: E402

application = Unchanged(_django)
