"""The page of one's own account: name, language, time zone, SSH keys."""

from uuid import UUID
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from django.views.i18n import set_language

from panel.accounts.forms import ProfileForm, SshKeyForm
from panel.accounts.signed_in import sign_out
from panel.accounts.ssh_keys import add_ssh_key, remove_ssh_key, ssh_keys_of
from panel.errors import Refused
from panel.text import line
from panel.ui.web import PageRequest, blame, page, signed_in, tried


def _page(request: PageRequest, bound: dict[str, Form], status: int) -> HttpResponse:
    user = request.actor.user
    initial = {"name": user.name, "language": user.language or "en", "time_zone": user.time_zone}
    forms = {"profile": ProfileForm(initial=initial), "ssh_key": SshKeyForm(auto_id="id_key_%s"), **bound}
    context = {"forms": forms, "ssh_keys": ssh_keys_of(request.actor), "section": "profile"}
    return page(request, "accounts/profile.html", context, status)


@signed_in
def profile(request: PageRequest) -> HttpResponse:
    if request.method != "POST":
        return _page(request, {}, 200)
    user, form = request.actor.user, ProfileForm(request.POST)
    if form.is_valid() and form.cleaned_data["time_zone"] not in available_timezones():
        form.add_error("time_zone", _("There is no such time zone; try Asia/Jakarta."))
    if form.is_valid():
        try:
            form.cleaned_data["name"] = line(form.cleaned_data["name"], most=120, least=0)
        except Refused as refusal:
            blame(form, refusal)
    if not form.is_valid():
        return _page(request, {"profile": form}, 422)
    for name in ("name", "language", "time_zone"):
        setattr(user, name, form.cleaned_data[name])
    user.save(update_fields=["name", "language", "time_zone"])
    messages.success(request, _("Profile saved"))
    return redirect("profile")


def choose_language(request: HttpRequest) -> HttpResponse:
    """Of everybody's menu: kept in the browser, and of who is signed in in his profile, which wins."""
    user = request.user
    if request.method == "POST" and user.is_authenticated:
        language = request.POST.get("language", "")
        if language in dict(settings.LANGUAGES) and language != user.language:
            user.language = language
            user.save(update_fields=["language"])
    return set_language(request)


@signed_in
def add_key(request: PageRequest) -> HttpResponse:
    """Opened again after a refusal it leads to the profile."""
    place = f"{reverse('profile')}#ssh-keys"
    if request.method != "POST":
        return redirect(place)
    form = SshKeyForm(request.POST, auto_id="id_key_%s")
    row, status = tried(form, lambda sent: add_ssh_key(request.actor, **sent))
    if row is None:
        return _page(request, {"ssh_key": form}, status)
    messages.success(request, _("SSH key %(name)s kept") % {"name": row})
    return redirect(place)


@require_POST
@signed_in
def remove_key(request: PageRequest, ssh_key_id: UUID) -> HttpResponse:
    row = remove_ssh_key(request.actor, ssh_key_id)
    messages.success(request, _("SSH key %(name)s removed") % {"name": row})
    return redirect(f"{reverse('profile')}#ssh-keys")


@require_POST
@signed_in
def end_session(request: PageRequest, session_id: str) -> HttpResponse:
    """Of the page of sessions, where allauth has only "all others"."""
    sign_out(request.actor, session_id)
    messages.success(request, _("Signed out there"))
    return redirect("usersessions_list")
