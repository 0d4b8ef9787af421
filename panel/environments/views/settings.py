"""The settings of one environment, and its end."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from panel.accounts.models import SshKey
from panel.accounts.ssh_keys import ssh_keys_of
from panel.environments import dial, forms, host_devices, services
from panel.environments.models import Environment
from panel.environments.option_parts import Group
from panel.environments.options import groups_of
from panel.environments.services import Changed
from panel.environments.services.checks import openable
from panel.environments.views.changing import Part, change_part
from panel.environments.views.new_password import secret_of
from panel.environments.views.one import context_of, get, usage_of
from panel.environments.views.plans import plan_context
from panel.errors import Refused
from panel.images.models import Image
from panel.plans.rules import why_no_device
from panel.rights.permissions import Permission
from panel.ui.web import PageRequest, page, sentence, signed_in
from runtime.contract import Device, Kind

_CHANGE = Permission.ENVIRONMENT_CHANGE
_MIB = 2**20


def _forms(request: PageRequest, row: Environment) -> dict[str, Form]:
    limits = row.limits
    return {
        "resize": forms.LimitsForm(initial=limits),
        "plan": forms.PlanForm(),
        "general": forms.GeneralForm(
            initial={
                "name": row.name,
                "description": row.description,
                "tags": " ".join(tag.name for tag in row.tags.all()),
            }
        ),
        **{one.name: _options_form(request, row, one) for one in groups_of(Kind(row.kind))},
        "devices": forms.DevicesForm(initial={"devices": [one.value for one in row.wanted.devices]}),
        "host-devices": forms.HostDevicesForm(offered=()),
        "kernel": forms.KernelForm(initial={"kernel": row.kernel}),
        "password": forms.PasswordForm(),
        "secrets": forms.SecretForm(),
        "reinstall": forms.ReinstallForm(initial={"image": row.image}),
        "delete": forms.DeleteForm(),
    }


def _settings(request: PageRequest, row: Environment, bound: dict[str, Form], status: int) -> HttpResponse:
    context = context_of(request, row, "settings")
    context["forms"] = {**_forms(request, row), **bound}
    if "keys" not in bound:
        context["forms"]["keys"] = _keys_form(request, row)
    asked = [(one, context["forms"][one.name]) for one in groups_of(Kind(row.kind))]
    context["options"] = [(one, form) for one, form in asked if form.fields]
    context["ssh_keys"] = _offered_keys(request, row)
    context["devices"] = _offered_devices(request, row)
    if "host-devices" not in bound:
        context["forms"]["host-devices"] = _host_devices_form(request, row)
    context["host_devices"] = context["forms"]["host-devices"]
    context["kernels"], context["is_turnable"] = dial.choices(row), dial.is_turnable(row)
    context["images"] = list(Image.objects.filter(on_nodes__node=row.node, on_nodes__observed_revision__gt=0))
    context["secret"] = secret_of(request, row)
    usage = usage_of(row)
    context |= plan_context(request, row, request.GET.get("plan", "") or request.POST.get("plan", ""))
    context["disk_used_mb"] = None if usage is None else -(-usage.disk_bytes // _MIB)
    return page(request, "environments/settings.html", context, status)


@require_safe
@signed_in
def settings(request: PageRequest, environment_id: UUID) -> HttpResponse:
    return _settings(request, get(request, environment_id), {}, 200)


def _resize(request: PageRequest, row: Environment, form: forms.LimitsForm) -> Changed:
    changed = services.update_environment(request.actor, row.pk, {"limits": form.limits()})
    if changed.left_plan:
        plan = row.plan_version.plan if row.plan_version is not None else changed.left_plan
        messages.info(request, _("It follows the plan %(plan)s no more.") % {"plan": plan})
    return changed


def _plan(request: PageRequest, row: Environment, form: forms.PlanForm) -> Changed:
    return services.update_environment(request.actor, row.pk, {"plan": form.cleaned_data["plan"]})


def _general(request: PageRequest, row: Environment, form: forms.GeneralForm) -> Changed | None:
    changes = form.changes(row)
    return services.update_environment(request.actor, row.pk, changes) if changes else None


def _options_form(request: PageRequest, row: Environment, group: Group, data: Any = None) -> forms.OptionsForm:
    """Asks for what the actor may change; of what is sent the services see it. Whoever may change nothing reads
    them all."""
    document = row.wanted.model_dump(mode="json")
    form = forms.OptionsForm(data, group=group, kind=Kind(row.kind), document=document)
    actor = request.actor
    if (
        data is not None
        or group.needs is None
        or actor.can(group.needs, row.tenant)
        or not actor.can(_CHANGE, row)
    ):
        return form
    may_open = openable(actor, row)
    form.keep({place for place in form.fields if place.removeprefix("security.") in may_open})
    return form


def _options(request: PageRequest, row: Environment, form: forms.OptionsForm) -> Changed:
    return services.update_environment(request.actor, row.pk, form.changes())


def _devices(request: PageRequest, row: Environment, form: forms.DevicesForm) -> Changed | None:
    wanted = form.cleaned_data["devices"]
    if sorted(wanted) == sorted(row.wanted.devices):
        return None
    return services.update_environment(request.actor, row.pk, {"devices": wanted})


def _host_devices_form(request: PageRequest, row: Environment) -> forms.HostDevicesForm:
    data = request.POST if request.method == "POST" else None
    return forms.HostDevicesForm(data, offered=host_devices.offered(request.actor, row))


def _host_devices(request: PageRequest, row: Environment, form: forms.HostDevicesForm) -> Changed:
    return services.update_environment(request.actor, row.pk, {"host_devices": form.given()})


def _kernel(request: PageRequest, row: Environment, form: forms.KernelForm) -> Changed | None:
    if form.cleaned_data["kernel"] == row.kernel:
        return None
    return services.update_environment(request.actor, row.pk, {"kernel": form.cleaned_data["kernel"]})


def _offered_devices(request: PageRequest, row: Environment) -> list[dict[str, Any]]:
    """Those of its node and those that it has, each with why it can't be chosen."""
    may_give = request.actor.can(Permission.SECURITY_MANAGE, row.tenant)
    known = {*row.node.facts.get("devices", ()), *row.wanted.devices}
    return [
        {
            "path": device.value,
            "what": forms.WHAT_FOR[device],
            "is_given": device in row.wanted.devices,
            "why_not": ""
            if device in row.wanted.devices
            else why_no_device(row.plan_version, device, may_give=may_give),
        }
        for device in Device
        if device in known
    ]


def _keys(request: PageRequest, row: Environment, form: forms.KeysForm) -> Changed:
    return services.set_credentials(request.actor, row.pk, ssh_keys=form.all_keys())


def _keys_form(request: PageRequest, row: Environment) -> forms.KeysForm:
    """Offers what isn't there yet; the field has the rest."""
    if request.method == "POST":
        form = forms.KeysForm(request.POST)
    else:
        form = forms.KeysForm(initial={"ssh_keys": "\n".join(row.ssh_keys)})
    form.offer_keys(_offered_keys(request, row))
    return form


def _offered_keys(request: PageRequest, row: Environment) -> list[SshKey]:
    return [key for key in ssh_keys_of(request.actor) if key.text not in row.ssh_keys]


def _password(request: PageRequest, row: Environment, form: forms.PasswordForm) -> Changed:
    return services.set_credentials(request.actor, row.pk, root_password=form.cleaned_data["root_password"])


def _secret(request: PageRequest, row: Environment, form: forms.SecretForm) -> Changed:
    return services.update_environment(request.actor, row.pk, {"app": {"secrets": form.secrets()}})


def _reinstall(request: PageRequest, row: Environment, form: forms.ReinstallForm) -> Changed:
    values = form.cleaned_data
    return services.reinstall(request.actor, row.pk, image=values["image"], keep_old=values["keep_old"])


def _part_of(group: Group) -> Part:
    return Part(lambda r, row: _options_form(r, row, group, r.POST), _options, group.done)


_PARTS = {
    **{one.name: _part_of(one) for kind in Kind for one in groups_of(kind)},
    "resize": Part(lambda r, _row: forms.LimitsForm(r.POST), _resize, gettext_lazy("New size asked for")),
    "plan": Part(lambda r, _row: forms.PlanForm(r.POST), _plan, gettext_lazy("New plan asked for")),
    "general": Part(
        lambda r, _row: forms.GeneralForm(r.POST), _general, gettext_lazy("Name and description saved")
    ),
    "devices": Part(lambda r, _row: forms.DevicesForm(r.POST), _devices, gettext_lazy("Devices saved")),
    "host-devices": Part(_host_devices_form, _host_devices, gettext_lazy("Devices saved")),
    "kernel": Part(
        lambda r, _row: forms.KernelForm(r.POST), _kernel, gettext_lazy("Kernel of its next start saved")
    ),
    "keys": Part(_keys_form, _keys, gettext_lazy("SSH keys replaced")),
    "password": Part(
        lambda r, _row: forms.PasswordForm(r.POST), _password, gettext_lazy("Root password changed")
    ),
    "secrets": Part(lambda r, _row: forms.SecretForm(r.POST), _secret, gettext_lazy("Secrets saved")),
    "reinstall": Part(
        lambda r, _row: forms.ReinstallForm(r.POST), _reinstall, gettext_lazy("Reinstall asked for")
    ),
}


@signed_in
def change(request: PageRequest, environment_id: UUID, what: str) -> HttpResponse:
    return change_part(request, environment_id, what, parts=_PARTS, shows=_settings, tab="environment-settings")


@require_POST
@signed_in
def delete(request: PageRequest, environment_id: UUID) -> HttpResponse:
    row = get(request, environment_id)
    form = forms.DeleteForm(request.POST)
    if not form.is_valid() or form.cleaned_data["typed_name"].strip() != row.name:
        form.add_error("typed_name", _("This is not its name: type %(name)s.") % {"name": row.name})
        return _settings(request, row, {"delete": form}, 422)
    try:
        changed = services.delete_environment(request.actor, environment_id, now=form.cleaned_data["now"])
    except Refused as refusal:
        form.add_error(None, sentence(refusal))
        return _settings(request, row, {"delete": form}, refusal.status)
    if changed.operation is None:
        return redirect("environments")
    return redirect("operation", changed.operation.pk)
