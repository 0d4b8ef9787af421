"""A password that was just made: shown until its reader has noted it."""

import time
from uuid import UUID

from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST

from panel.environments.models import Environment
from panel.environments.services import Changed
from panel.ui.web import PageRequest, back, signed_in

#: Key of the session for a password that the next pages show until it was noted.
_SECRET = "shown-once"  # noqa: S105 - a key, no secret
_SECRET_LIFE_S = 600


def show_once(request: PageRequest, changed: Changed) -> None:
    """Keep a made password in the session until its reader has noted it, for ten minutes at most."""
    if changed.root_password:
        until = time.time() + _SECRET_LIFE_S
        request.session[_SECRET] = {
            "of": str(changed.environment.pk),
            "text": changed.root_password,
            "until": until,
        }


def secret_of(request: PageRequest, row: Environment) -> str:
    """The password, if one was just made for this environment by this session. Expired: it is dropped."""
    kept = request.session.get(_SECRET)
    if kept and kept["until"] < time.time():
        del request.session[_SECRET]
        return ""
    return str(kept["text"]) if kept and kept["of"] == str(row.pk) else ""


@require_POST
@signed_in
def forget_secret(request: PageRequest, environment_id: UUID) -> HttpResponse:
    Environment.objects.get_for(request.actor, environment_id)
    request.session.pop(_SECRET, None)
    return back(request, reverse("environment", args=[environment_id]))
