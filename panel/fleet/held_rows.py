"""Rows of a list that a node holds, as an administrator changes them: all of it under the lock of its node."""

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from panel.errors import Invalid, NotFound
from panel.nodes.models import CpuPool, HostDevice, Node
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.ui.choices import offer

RowT = TypeVar("RowT", CpuPool, HostDevice)
#: Of a field that programs read.
PLAIN = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}


def rows_of(actor: Actor, model: type[RowT], this: Promise | str) -> Sequence[RowT]:
    """With their nodes. `NotFound` (of `this`) to whoever sees no node."""
    if not actor.can(Permission.NODE_VIEW):
        raise NotFound(str(this))
    return list(model._default_manager.select_related("node").order_by("node__name", "name"))


def found(actor: Actor, model: type[RowT], pk: UUID, this: Promise | str) -> RowT:
    """That the actor may change; to who sees no node there are none."""
    row = model._default_manager.select_related("node").filter(pk=pk).first()
    if row is None or not actor.can(Permission.NODE_VIEW):
        raise NotFound(str(this))
    actor.require(Permission.NODE_MANAGE)
    return row


def locked(node_id: UUID) -> Node:
    node = Node.objects.select_for_update(no_key=True).filter(pk=node_id).first()
    if node is None:
        raise Invalid(_("There is no such node."), field="node")
    return node


class OfNodeForm(forms.Form):
    """Of a new row."""

    node = forms.ChoiceField(label=gettext_lazy("Node"))
    name = forms.CharField(label=gettext_lazy("Name"), max_length=63, widget=forms.TextInput(attrs=PLAIN))

    def offer(self, nodes: Sequence[Node]) -> None:
        offer(self, "node", [(str(one.pk), one.name) for one in nodes])
