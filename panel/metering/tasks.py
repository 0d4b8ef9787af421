"""What environments use, as nodes report it, and what the beat does for traffic."""

from celery import shared_task

from panel.clock.services import follow
from panel.metering import history, services
from panel.metering.intake import observe_usage as take_in
from panel.nodes.sealed import from_node
from runtime.contract import PANEL_OBSERVE_USAGE, UsageReport


@shared_task(name=PANEL_OBSERVE_USAGE)
@from_node(PANEL_OBSERVE_USAGE, UsageReport)
def observe_usage(report: UsageReport) -> None:
    take_in(report)


@shared_task(name="panel.traffic")
def traffic() -> None:
    """Lift what a new month or a larger plan has ended."""
    services.undo_past()


@shared_task(name="panel.usage_history")
def usage_history() -> None:
    """Forget what is older than the graphs show."""
    follow()
    history.forget_past()
