"""What comes from nodes: opened with the key of whoever it says it is from, or refused and logged."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import structlog
from django.conf import settings
from pydantic import ValidationError

from runtime.contract import Message, Sealed

log = structlog.get_logger()

M = TypeVar("M", bound=Message)


def key_of(node: str) -> bytes:
    """What the node seals with, read anew each time; empty: it isn't a node of ours."""
    key: Path = settings.WADAH.home / "etc" / "nodes" / f"{node}.key"
    try:
        return key.read_bytes().strip()
    except FileNotFoundError:
        return b""


def from_node(task: str, model: type[M]) -> Callable[[Callable[[M], Any]], Callable[[Any], None]]:
    """A task of the name `task` for documents of this model: called only with one that the node that it is
    about has sealed."""

    def decorate(take: Callable[[M], Any]) -> Callable[[Any], None]:
        @wraps(take)
        def opened(envelope: Any) -> None:
            document = _opened(task, envelope)
            if document is None:
                return
            node, values = document
            try:
                report = model.model_validate(values)
            except ValidationError as error:
                log.warning("bad report refused", task=task, errors=error.error_count())
                return
            if getattr(report, "node", None) != node:
                log.warning("report in another node's name refused", task=task, node=node)
                return
            take(report)

        return opened

    return decorate


def _opened(task: str, envelope: Any) -> tuple[str, dict[str, Any]] | None:
    try:
        sealed = Sealed.model_validate(envelope)
    except ValidationError as error:
        log.warning("report without a seal refused", task=task, errors=error.error_count())
        return None
    try:
        return sealed.node, sealed.opened(task=task, key=key_of(sealed.node))
    except ValueError:
        log.warning("report with a broken seal refused", task=task, node=sealed.node)
        return None
