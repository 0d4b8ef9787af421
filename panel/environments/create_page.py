"""What the page for a new environment offers: images that are ready, plans with what is left of the quota."""

import json
import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from panel import codes
from panel.accounts.models import SshKey
from panel.accounts.ssh_keys import ssh_keys_of
from panel.environments.capacity import Capacity, capacities, fits_somewhere
from panel.environments.forms import WHAT_FOR, CreateForm
from panel.environments.models import Environment
from panel.images.models import Image, NodeImage
from panel.nodes.matrix import of_several
from panel.nodes.models import Node, NodeState
from panel.operations.models import OperationKind, OperationState
from panel.plans.models import PlanVersion
from panel.plans.selectors import offered_to
from panel.quotas import services as quotas
from panel.quotas.selectors import room_of
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant, TenantState
from panel.ui.templatetags.wadah import mib_text, number, spelled
from runtime.contract import Device, Kernel, Kind, Limits, wants_of

#: Kinds that have a form, in the order in which they are offered: what each is called, and who would want it.
WHO_WANTS: Final[dict[Kind, tuple[Promise | str, Promise | str]]] = {
    Kind.SYSTEM: (
        gettext_lazy("A whole system"),
        gettext_lazy(
            "A machine of your own, with init, users and packages: for whoever runs several services."
        ),
    ),
    Kind.APP: (
        gettext_lazy("An app"),
        gettext_lazy("One program from an image of a registry: for whoever would type docker run."),
    ),
    Kind.JAIL: (
        gettext_lazy("A jail"),
        gettext_lazy(
            "One service on a base that many share, whose root may do nothing that you don't allow by name: for"
            " whoever wants many small, walled services, updated together."
        ),
    ),
    Kind.DIRECTORY: (
        gettext_lazy("A directory"),
        gettext_lazy(
            "A tree that people and programs are locked into: for whoever takes files by SFTP, rsync or git."
        ),
    ),
}
_CUSTOM = ""
#: What one's own size takes of the quota.
_SIZE = ("cpu", "memory_mb", "disk_mb", "processes")
_SHOWN = {
    "cpu": "vCPU",
    "memory_mb": gettext_lazy("memory"),
    "disk_mb": gettext_lazy("disk"),
    "environments": gettext_lazy("environments"),
    "swap_mb": gettext_lazy("MiB swap"),
    "processes": gettext_lazy("processes"),
}


def _amount(resource: str, stored: int) -> str:
    value = quotas.shown(resource, stored)
    return mib_text(value) if resource.endswith("_mb") else number(value)


@dataclass(frozen=True)
class PlanCard:
    slug: str
    name: str
    description: str
    limits: dict[str, Any]
    why_not: str
    """Empty when it can be chosen."""
    images: str
    """Names of the only images that it allows, between spaces; empty: all."""
    devices: str
    """Those that it allows, between spaces."""


class CreatePage:
    """Made for one request."""

    def __init__(self, actor: Actor, scope: Tenant | None, asked: str, kind: str = "") -> None:
        self.actor, self.scope, self.asked = actor, scope, asked
        self.kind = Kind(kind) if kind in WHO_WANTS else Kind.SYSTEM
        self.is_app, self.is_directory = self.kind is Kind.APP, self.kind is Kind.DIRECTORY
        self.wants = wants_of(self.kind)

    @cached_property
    def offered(self) -> list[tuple[str, Any, bool]]:
        """Kinds that a node offers: name, label, whether it is the one that is asked for."""
        there = self._abilities()[0]
        return [
            (kind.value, label, kind is self.kind) for kind, (label, _who) in WHO_WANTS.items() if kind in there
        ]

    @property
    def who_wants(self) -> Promise | str:
        """One sentence on the kind that is shown."""
        return WHO_WANTS[self.kind][1]

    @cached_property
    def tenants(self) -> list[Tenant]:
        """Those that the actor may create in."""
        return list(Tenant.objects.for_actor(self.actor, Permission.ENVIRONMENT_CREATE)[:200])

    @cached_property
    def tenant(self) -> Tenant | None:
        if self.asked:
            return next((t for t in self.tenants if t.slug == self.asked), None)
        if self.scope is not None and self.scope in self.tenants:
            return self.scope
        active = [t for t in self.tenants if t.state == TenantState.ACTIVE]
        return next(iter(active or self.tenants), None)

    @cached_property
    def ssh_keys(self) -> list[SshKey]:
        return ssh_keys_of(self.actor)

    @cached_property
    def room(self) -> dict[str, int | None]:
        """What is left per resource, in stored units; None: no limit."""
        return {} if self.tenant is None else room_of(self.tenant)

    @cached_property
    def capacities(self) -> list[Capacity]:
        return capacities()

    def why_not(self, limits: dict[str, Any]) -> str:
        wanted = Limits.model_validate(limits)
        amounts = quotas.amounts_of(wanted)
        for resource, amount in amounts.items():
            left = self.room.get(resource)
            if left is not None and amount > left:
                return _("%(left)s %(what)s left of the quota") % {
                    "left": _amount(resource, left),
                    "what": _SHOWN.get(resource, resource),
                }
        if self.capacities and not fits_somewhere(self.capacities, wanted):
            return _("no node has room for it")
        return ""

    @cached_property
    def why_not_own(self) -> str:
        """Why no size of one's own can be chosen; empty when it can."""
        if self.tenant is not None and self.tenant.must_use_plans:
            return _("This tenant's environments have the size of a plan.")
        return ""

    @cached_property
    def plans(self) -> list[PlanCard]:
        cards = []
        for plan, version in offered_to(self.actor, self.tenant):
            why = self.why_not(version.limits) or self._why_not_images(version)
            images = " ".join(version.parsed_choices.images or ())
            devices = " ".join(version.parsed_choices.devices)
            cards.append(PlanCard(plan.slug, plan.name, plan.description, version.limits, why, images, devices))
        return cards

    @cached_property
    def own_devices(self) -> str:
        """Those that may be chosen without a plan, between spaces."""
        may_give = self.tenant is not None and self.actor.can(Permission.SECURITY_MANAGE, self.tenant)
        return " ".join(Device) if may_give else ""

    def _why_not_images(self, version: PlanVersion) -> str:
        allowed = version.parsed_choices.images
        ready = {each["row"].name for each in self.images if each["is_ready"]}
        if allowed is not None and ready and not ready & set(allowed):
            return _("none of its images is ready: %(images)s") % {"images": ", ".join(allowed)}
        return ""

    @cached_property
    def images(self) -> list[dict[str, Any]]:
        """Each with whether any node can take it, and why not."""
        ready = set(
            NodeImage.objects.filter(observed_revision__gt=0, is_wanted=True).values_list("image_id", flat=True)
        )
        building = dict(
            NodeImage.objects.filter(
                operation__state=OperationState.RUNNING, operation__kind=OperationKind.BUILD
            ).values_list("image_id", "operation__progress")
        )
        return [
            {
                "row": image,
                "is_ready": image.pk in ready,
                "why_not": ""
                if image.pk in ready
                else _("being built, %(p)d %%") % {"p": building[image.pk] * 100}
                if image.pk in building
                else _("not built yet"),
            }
            for image in Image.objects.all()
        ]

    @property
    def known_ports(self) -> str:
        """What images expose by the apps that the actor sees, by name as typed and as written out: JSON."""
        rows = Environment.objects.for_actor(self.actor).living().filter(kind=Kind.APP).exclude(app=None)
        found: dict[str, list[str]] = {}
        for image, seen in rows.order_by("-created_at").values_list("image", "app")[:200]:
            if seen is not None and seen.get("ports"):
                for name in (image, image.removeprefix("docker.io/library/"), image.removeprefix("docker.io/")):
                    found.setdefault(name, seen["ports"])
        return json.dumps(found)

    @property
    def titles_of_image(self) -> str:
        """What its own configuration is called, below an image that is named: JSON."""
        titles = {
            "runs": _("It runs"),
            "user": _("As"),
            "ports": _("It exposes"),
            "volumes": _("It keeps data at"),
            "health": _("Health check"),
            "digest": _("Digest"),
        }
        return json.dumps(titles)

    def propose_name(self, image: str) -> str:
        """`debian-3`: the image's first word and the lowest free number."""
        word = (image or "ve").split("-")[0].split(".")[0].replace("_", "")
        if self.tenant is None:
            return f"{word}-{secrets.token_hex(2)}"
        taken = set(
            Environment.objects.in_use()
            .filter(tenant=self.tenant, name__startswith=f"{word}-")
            .values_list("name", flat=True)
        )
        return next(f"{word}-{n}" for n in range(1, len(taken) + 2) if f"{word}-{n}" not in taken)

    def initial(self) -> dict[str, Any]:
        ready = [each["row"].name for each in self.images if each["is_ready"]]
        image = "debian-12" if "debian-12" in ready else (ready or [""])[0]
        plan = next((card.slug for card in self.plans if not card.why_not), _CUSTOM)
        return {
            **self.wants.limits.model_dump(include=set(_SIZE)),
            "name": self.propose_name(self.kind if self.kind is not Kind.SYSTEM else image),
            "image": image if self.kind is Kind.SYSTEM else "",
            "plan": plan,
            "kind": self.kind.value,
            "kernel": "shared",
            "is_started": True,
            "saved_keys": [str(key.pk) for key in self.ssh_keys],
        }

    @cached_property
    def hindrance(self) -> str:
        """Why nothing can be created at all; empty when something can."""
        if self.tenant is None:
            return _("There is no tenant that you may create environments in.")
        if self.tenant.state == TenantState.SUSPENDED:
            return _("This tenant is suspended; nothing of it can be started or changed.")
        nodes = list(Node.objects.filter(state=NodeState.ENABLED))
        if not nodes:
            return _("No node has joined this installation yet, or all are disabled.")
        if not any(node.is_online() for node in nodes):
            return _("No node was heard of in the last 45 seconds.")
        if self.wants.has_accounts and not any(each["is_ready"] for each in self.images):
            return _("No image is ready yet. It can be asked for as soon as one is built.")
        if self.room.get("environments") == 0:
            return _("The quota has no environment left.")
        return ""

    def context(self, form: CreateForm) -> dict[str, Any]:
        _kinds, _kernels, devices = self._abilities()
        form.offer("kind", [self.kind.value])
        self._offer_kernels(form)
        for resource in _SIZE:
            if (left_here := self.room.get(resource)) is not None:
                field = form.fields[resource]
                field.widget.attrs["max"] = f"{quotas.shown(resource, left_here):g}"
                field.help_text = _("%(left)s left of the quota") % {"left": spelled(field.widget.attrs["max"])}
        value = {name: form[name].value() for name in form.fields}
        left = [(_SHOWN[r], _amount(r, n)) for r, n in self.room.items() if n is not None and r in _SHOWN]
        return {
            "section": "environment",
            "form": form,
            "value": value,
            "page": self,
            "ssh_keys": self.ssh_keys,
            "devices": [
                {"path": path, "what": WHAT_FOR[Device(path)], "is_given": path in (value["devices"] or ())}
                for path in devices
            ],
            "left": left,
            "api_url": f"{settings.WADAH.url.rstrip('/')}/api/v1/environments",
            "curl": self._curl(value),
        }

    def _offer_kernels(self, form: CreateForm) -> None:
        """Those that this kind can have somewhere; of the others, why not."""
        facts = Node.objects.filter(state=NodeState.ENABLED).values_list("facts", flat=True)
        cells = [one for one in of_several(facts) if one.kind is self.kind]
        form.offer("kernel", [one.kernel.value for one in cells if not one.why_not] or [Kernel.SHARED.value])
        reasons = [f"{codes.value(one.kernel)}: {one.why_not}." for one in cells if one.why_not]
        prices = [
            _("%(kernel)s: starts in %(ms)s ms here, from %(mib)s MiB of memory on.")
            % {"kernel": codes.value(one.kernel), "ms": f"{one.start_ms:.0f}", "mib": one.least_memory_mb}
            for one in cells
            if one.start_ms and not one.why_not
        ]
        if prices:
            form.fields["kernel"].help_text = " ".join((*prices, *reasons))

    @staticmethod
    def _abilities() -> tuple[list[str], list[str], list[str]]:
        """What any enabled node can run."""
        kinds: dict[str, None] = {"system": None}
        kernels: dict[str, None] = {"shared": None}
        devices: dict[str, None] = {}
        for facts in Node.objects.filter(state=NodeState.ENABLED).values_list("facts", flat=True):
            kinds.update(dict.fromkeys(facts.get("kinds", [])))
            kernels.update(dict.fromkeys(facts.get("kernels", [])))
            devices.update(dict.fromkeys(facts.get("devices", [])))
        return list(kinds), list(kernels), list(devices)

    def _curl(self, value: dict[str, Any]) -> str:
        """The same as an API call; the page's script keeps it up to date."""
        body: dict[str, Any] = {"name": value["name"]}
        if self.wants.has_image:
            body["image"] = value["image"]
        if self.kind is not Kind.SYSTEM:
            body["kind"] = self.kind.value
        if value.get("plan"):
            body["plan"] = value["plan"]
        else:
            body["limits"] = {k: value[k] for k in _SIZE if value.get(k)}
        chosen = [key.text for key in self.ssh_keys if str(key.pk) in (value.get("saved_keys") or ())]
        if chosen and self.wants.has_accounts:
            body["ssh_keys"] = chosen
        if self.tenant is not None:
            body["tenant"] = str(self.tenant.pk)
        url = f"{settings.WADAH.url.rstrip('/')}/api/v1/environments"
        return (
            f'curl -X POST {url} \\\n  -H "Authorization: Bearer $WADAH_TOKEN" \\\n'
            f"  -H 'Idempotency-Key: {secrets.token_hex(8)}' \\\n  -H 'Content-Type: application/json' \\\n"
            f"  -d '{json.dumps(body, indent=2)}'"
        )
