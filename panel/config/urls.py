"""Addresses: each domain's own pages, the API, sign-in, and what supervisors look at."""

import importlib.util

from django.urls import URLPattern, URLResolver, include, path, re_path

from panel.accounts import single_sign_on
from panel.accounts.profile import choose_language
from panel.api.root import api
from panel.config.health import healthz, metrics, readyz

#: Rooms that may hold a `urls.py` with pages; each writes its full paths itself.
_PAGES = [
    "panel.frame",
    "panel.accounts",
    "panel.tenancy",
    "panel.offers",
    "panel.fleet",
    "panel.images",
    "panel.registries",
    "panel.repositories",
    "panel.networks",
    "panel.metering",
    "panel.storage",
    "panel.backups",
    "panel.volumes",
    "panel.domains",
    "panel.stacks",
    "panel.stacks",
    "panel.jails",
    "panel.stages",
    "panel.builds",
    "panel.isolation",
    "panel.inside",
    "panel.environments",
    "panel.operations",
    "panel.people",
    "panel.audit",
    "panel.console",
    "panel.api",
]

_SSO = r"^accounts/oidc/(?P<provider_id>[^/]+)/login/"

handler400 = "panel.config.views.bad_request"
handler404 = "panel.config.views.not_found"
handler500 = "panel.config.views.server_error"


def _pages() -> list[URLPattern | URLResolver]:
    return [
        path("", include(f"{app}.urls"))
        for app in _PAGES
        if importlib.util.find_spec(app) and importlib.util.find_spec(f"{app}.urls")
    ]


urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("api/v1/", api.urls),
    # in the place of allauth's own two below
    re_path(_SSO + "$", single_sign_on.login, name="openid_connect_login"),
    re_path(_SSO + "callback/$", single_sign_on.callback, name="openid_connect_callback"),
    path("accounts/", include("allauth.urls")),
    path("i18n/setlang/", choose_language, name="set_language"),
    *_pages(),
]
