"""Lists that a node holds for the panel: what is wanted is a row each; a node is told until it says that it has
the newest."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

from django.db import transaction
from django.db.models import F

from panel.nodes.models import Node
from runtime.contract import NodeReport
from runtime.contract.base import Message


class Document(Protocol):
    """A list with the number of its newest change."""

    @property
    def revision(self) -> int: ...


@dataclass(frozen=True)
class HeldList:
    """One of them."""

    revision: Literal["pools_revision", "devices_revision"]
    """The field of the node's row that counts its changes."""
    fact: Literal["cpu_pools", "host_devices"]
    """Of `NodeFacts`: the list as the node holds it."""
    wanted: Callable[[Node], Message]
    send: Callable[[str, dict[str, Any]], object]

    def changed(self, node: Node) -> None:
        """Of a locked row: one more change, which the node is told of."""
        Node.objects.filter(pk=node.pk).update(**{self.revision: F(self.revision) + 1})
        node.refresh_from_db(fields=[self.revision])
        self.tell_on_commit(node)

    def tell_on_commit(self, node: Node) -> None:
        document = self.wanted(node).model_dump(mode="json")
        transaction.on_commit(partial(self.send, node.name, document), robust=True)

    def keep_told(self, node: Node, report: NodeReport) -> None:
        """For `panel.nodes.listeners`. One that is made anew, or that no message reached, holds another."""
        document: Document = getattr(report.facts, self.fact)
        held, known = document.revision, getattr(node, self.revision)
        if held == known:
            return
        if held > known:  # this database is older than what the node was told
            Node.objects.filter(pk=node.pk).update(**{self.revision: held + 1})
            setattr(node, self.revision, held + 1)
        self.tell_on_commit(node)
