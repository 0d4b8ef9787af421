"""A Django with one view that answers JSON and nothing else: no middleware, no database.

What a server and Django's own dispatch cost, as the measure for the panel's pages.
"""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

if not settings.configured:
    settings.configure(
        ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=[], INSTALLED_APPS=[], USE_TZ=True
    )


def view(_: HttpRequest) -> JsonResponse:
    answer = JsonResponse({"status": "ok"})
    answer["Content-Length"] = str(len(answer.content))  # what CommonMiddleware does
    return answer


urlpatterns = [path("", view)]
application = get_wsgi_application()
