"""Pages and API."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "panel.config.settings")
#: Few can wait at once here; background work may for longer.
os.environ.setdefault("WADAH_DATABASE_WAIT_S", "4")
_pages = get_wsgi_application()

from panel.config.answer_cache import AnswerCache  # noqa: E402
from panel.config.bodies import whole  # noqa: E402 (after Django's apps are there)

application = whole(AnswerCache(_pages))
