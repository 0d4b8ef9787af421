"""Addresses, port forwards and network options of one environment."""

from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from panel.environments import services
from panel.environments.models import Environment
from panel.environments.services import Changed
from panel.environments.services.checks import openable
from panel.environments.views.changing import Part, change_part
from panel.environments.views.one import context_of, get
from panel.networks import forms
from panel.networks.addresses import add_addresses
from panel.networks.addresses import remove_address as remove_address_
from panel.networks.forwards import add_forward
from panel.networks.forwards import remove_forward as remove_forward_
from panel.ui.web import PageRequest, page, signed_in


def _network(request: PageRequest, row: Environment, bound: dict[str, Form], status: int) -> HttpResponse:
    context = context_of(request, row, "network")
    context["leases"] = list(row.addresses.all())
    options = row.intent["network"]
    known = {**options, "nameservers": "\n".join(options.get("nameservers", []))}
    unbound = {
        "address": forms.AddressForm(auto_id="id_address_%s"),
        "forward": forms.ForwardForm(),
        "network": forms.NetworkForm(initial=known, may_open=openable(request.actor, row)),
    }
    context["forms"] = {**unbound, **bound}
    return page(request, "environments/network.html", context, status)


@require_safe
@signed_in
def network(request: PageRequest, environment_id: UUID) -> HttpResponse:
    return _network(request, get(request, environment_id), {}, 200)


def _forward(request: PageRequest, row: Environment, form: forms.ForwardForm) -> None:
    add_forward(request.actor, row.pk, **form.cleaned_data)


def _options(request: PageRequest, row: Environment, form: forms.NetworkForm) -> Changed:
    return services.update_environment(request.actor, row.pk, {"network": form.options()})


def _address(request: PageRequest, row: Environment, form: forms.AddressForm) -> None:
    add_addresses(request.actor, row.pk, **form.cleaned_data)


_PARTS = {
    "address": Part(
        lambda r, _row: forms.AddressForm(r.POST, auto_id="id_address_%s"),
        _address,
        gettext_lazy("Address added"),
    ),
    "forward": Part(lambda r, _row: forms.ForwardForm(r.POST), _forward, gettext_lazy("Port forward added")),
    "network": Part(
        lambda r, row: forms.NetworkForm(r.POST, may_open=openable(r.actor, row)),
        _options,
        gettext_lazy("Network options saved"),
    ),
}


@signed_in
def change(request: PageRequest, environment_id: UUID, part: str) -> HttpResponse:
    return change_part(request, environment_id, part, parts=_PARTS, shows=_network, tab="environment-network")


@require_POST
@signed_in
def remove_address(request: PageRequest, environment_id: UUID, address_id: UUID) -> HttpResponse:
    remove_address_(request.actor, environment_id, address_id)
    messages.success(request, _("Address removed"))
    return redirect(f"{reverse('environment-network', args=[environment_id])}#address")


@require_POST
@signed_in
def remove_forward(request: PageRequest, environment_id: UUID, forward_id: UUID) -> HttpResponse:
    remove_forward_(request.actor, environment_id, forward_id)
    messages.success(request, _("Port forward removed"))
    return redirect(f"{reverse('environment-network', args=[environment_id])}#forward")
