"""The page of devices of hosts, for administrators of the installation."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from panel.fleet import devices
from panel.fleet.held_rows import PLAIN, OfNodeForm
from panel.nodes.models import Node
from panel.rights.permissions import Permission
from panel.ui.web import PageRequest, page, signed_in, tried


class DeviceForm(OfNodeForm):
    path = forms.CharField(
        label=gettext_lazy("Path on the host"),
        required=False,
        max_length=256,
        help_text=gettext_lazy("Of the list below, or a link of udev's: /dev/serial/by-id/…"),
        widget=forms.TextInput(attrs=PLAIN),
    )
    udev = forms.CharField(
        label=gettext_lazy("Or what udev says of it"),
        required=False,
        max_length=2048,
        help_text=gettext_lazy("One a line: ID_SERIAL=… wherever it is plugged in, or ID_PATH=…"),
        widget=forms.Textarea(attrs={**PLAIN, "rows": 2}),
    )
    inside = forms.CharField(
        label=gettext_lazy("Path inside"),
        required=False,
        max_length=128,
        help_text=gettext_lazy("Empty: /dev/ and its name."),
        widget=forms.TextInput(attrs=PLAIN),
    )
    shared = forms.BooleanField(label=gettext_lazy("Several environments at once"), required=False)

    def values(self) -> dict[str, Any]:
        found = dict(self.cleaned_data)
        found["udev"] = [line.strip() for line in found["udev"].splitlines() if line.strip()]
        del found["node"]
        return found


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def list_(request: PageRequest) -> HttpResponse:
    request.actor.require(Permission.NODE_VIEW)
    form, status = DeviceForm(request.POST if request.method == "POST" else None), 200
    nodes = list(Node.objects.order_by("name"))
    form.offer(nodes)
    if form.is_bound:
        made, status = tried(
            form, lambda sent: devices.add_device(request.actor, UUID(sent["node"]), **form.values())
        )
        if made is not None:
            messages.success(request, _("The device %(name)s is allowed") % {"name": made.name})
            return redirect("host-devices")
    context = {
        "section": "host-device",
        "devices": [{"row": row, "device": devices.show(row)} for row in devices.rows_of(request.actor)],
        "seen": [(node, one) for node in nodes for one in devices.seen_by(request.actor, node)],
        "form": form,
    }
    return page(request, "nodes/devices.html", context, status)


@require_POST
@signed_in
def remove(request: PageRequest, device_id: UUID) -> HttpResponse:
    devices.delete_device(request.actor, device_id)
    messages.success(request, _("The device is given to nobody any more"))
    return redirect("host-devices")
