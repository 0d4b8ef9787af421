"""How the node's processes write their logs: plain lines, no values of variables, records of bounded length.

A traceback with local variables, which structlog draws where `rich` is installed, is 190 KB for each failure
and shows what the functions were given: hashes of passwords among it.
"""

import logging

import structlog
from structlog.typing import EventDict, WrappedLogger

#: Of one record: its beginning says what it is about, the end of a traceback what went wrong.
RECORD_CHARACTERS, _BEGINNING = 8192, 2048


def configure() -> None:
    """For all that is logged by this process from now on."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.StackInfoRenderer(),
            structlog.dev.set_exc_info,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=True),
            _line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


_drawn = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)


def _line(logger: WrappedLogger, name: str, record: EventDict) -> str:
    line = str(_drawn(logger, name, record))
    beyond = len(line) - RECORD_CHARACTERS
    if beyond <= 0:
        return line
    return f"{line[:_BEGINNING]} … {beyond} characters … {line[_BEGINNING + beyond :]}"
