"""One form of a page that has many: bound, applied by a service, and its errors back beside its fields."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from panel.environments.models import Environment
from panel.environments.services import Changed
from panel.environments.views.new_password import show_once
from panel.environments.views.one import get
from panel.errors import NotFound, Refused
from panel.ui.web import PageRequest, blame


@dataclass(frozen=True)
class Part:
    """A form by the name in its address."""

    form: Callable[[PageRequest, Environment], Form]
    """Filled by the request."""
    apply: Callable[[PageRequest, Environment, Any], Changed | None]
    """Takes the valid form; None: nothing was to be done, or there is nothing to show."""
    done: Promise | str


class Shows(Protocol):
    """A page with some of its forms as they were sent."""

    def __call__(
        self, request: PageRequest, row: Environment, bound: dict[str, Form], status: int
    ) -> HttpResponse: ...


def change_part(
    request: PageRequest, environment_id: UUID, what: str, *, parts: dict[str, Part], shows: Shows, tab: str
) -> HttpResponse:
    """Refused: `shows` with the form as it was typed. Done: to the tab, at the form's place.

    The address of a refused form, opened again (a reload, a return from the sign-in), leads to its page.
    """
    if what not in parts:
        raise NotFound(_("This form"))
    place = f"{reverse(tab, args=[environment_id])}#{what}"
    row = get(request, environment_id)
    if request.method != "POST":
        return redirect(place)
    part = parts[what]
    form = part.form(request, row)
    status = 422
    if form.is_valid():
        try:
            changed = part.apply(request, row, form)
        except Refused as refusal:
            blame(form, refusal)
            status = refusal.status
        else:
            if changed is not None:
                show_once(request, changed)
            messages.success(request, str(part.done))
            return redirect(place)
    return shows(request, row, {what: form}, status)
