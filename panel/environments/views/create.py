"""The page that makes an environment."""

from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from panel.environments import forms, services
from panel.environments.create_page import CreatePage
from panel.environments.services import Changed
from panel.environments.views.new_password import show_once
from panel.errors import Invalid, NotFound, Refused
from panel.tenants.chosen import chosen_tenant
from panel.text import words_of
from panel.ui.web import PageRequest, blame, page, signed_in
from runtime.contract import Kind


@signed_in
def create(request: PageRequest) -> HttpResponse:
    shown = CreatePage(
        request.actor, chosen_tenant(request, request.actor), request.POST.get("tenant", ""), _kind(request)
    )
    status = 200
    if request.method == "POST":
        form = forms.CreateForm(request.POST, kind=shown.kind)
        form.offer_keys(shown.ssh_keys)
        if form.is_valid():
            try:
                changed = _create(request, shown, form)
            except NotFound:
                raise
            except Refused as refusal:
                blame(form, refusal)
                status = refusal.status
            else:
                show_once(request, changed)
                return redirect("environment", changed.environment.pk)
        else:
            status = 422
    else:
        form = forms.CreateForm(kind=shown.kind, initial={**shown.initial(), **_named(request, shown)})
        form.offer_keys(shown.ssh_keys)
    return page(request, "environments/create.html", shown.context(form), status)


def _kind(request: PageRequest) -> str:
    return (request.POST if request.method == "POST" else request.GET).get("kind", "")


def _named(request: PageRequest, shown: CreatePage) -> dict[str, str]:
    """An app's image, as a link to this page names it."""
    image = request.GET.get("image", "")[:400]
    return {"image": image} if image and shown.kind is Kind.APP else {}


def _create(request: PageRequest, shown: CreatePage, form: forms.CreateForm) -> Changed:
    values = form.cleaned_data
    if shown.tenant is None:
        raise Invalid(_("Choose the tenant that it belongs to."), field="tenant")
    return services.create_environment(
        request.actor,
        shown.tenant,
        name=values["name"],
        image=values["image"] if shown.wants.has_image else "",
        plan=values["plan"],
        limits=form.limits() if not values["plan"] else None,
        kind=values["kind"],
        kernel=values["kernel"],
        devices=values["devices"] if shown.wants.has_accounts else [],
        description=values["description"],
        ssh_keys=form.all_keys() if shown.wants.has_accounts else [],
        tags=words_of(values["tags"]),
        ipv4=values["ipv4"],
        ipv6=values["ipv6"],
        is_started=values["is_started"],
        **form.options(),
    )
