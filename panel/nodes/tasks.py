"""Heartbeats of nodes."""

from celery import shared_task

from panel.nodes import services
from panel.nodes.sealed import from_node
from runtime.contract import PANEL_OBSERVE_NODE, NodeReport


@shared_task(name=PANEL_OBSERVE_NODE)
@from_node(PANEL_OBSERVE_NODE, NodeReport)
def observe_node(report: NodeReport) -> None:
    services.observe_node(report)
