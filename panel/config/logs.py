"""Logs: one JSON object a line in production, readable lines in development; the request's id in each."""

import logging.config
from typing import Any

import structlog
from structlog.typing import EventDict

#: Of one record: its beginning says what it is about, the end of a traceback what went wrong.
RECORD_CHARACTERS, _BEGINNING = 8192, 2048


def shorten(_logger: object, _name: str, record: str) -> str:
    """The record, with its middle left out where it is longer than `RECORD_CHARACTERS`."""
    beyond = len(record) - RECORD_CHARACTERS
    if beyond <= 0:
        return record
    return f"{record[:_BEGINNING]} … {beyond} characters … {record[_BEGINNING + beyond :]}"


def shorten_exception(logger: object, name: str, record: EventDict) -> EventDict:
    if isinstance(told := record.get("exception"), str):
        record["exception"] = shorten(logger, name, told)
    return record


def _in_one_line(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """For lines that people read: no value begins a line or moves the cursor. JSON sees to it itself."""
    return {name: _shown(value) for name, value in event.items()}


def _shown(value: Any) -> Any:
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in value)


def configure(options: dict[str, Any]) -> None:
    """Set up structlog and route the standard library's loggers through it."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if not options["json"]:
        shared.append(_in_one_line)
    # never with the values of variables, as it would be drawn where `rich` is installed: secrets are among them
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer: Any = structlog.processors.JSONRenderer() if options["json"] else plain
    last: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if options["json"]:
        last += [structlog.processors.format_exc_info, shorten_exception]
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "line": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": shared,
                    "processors": [*last, renderer] if options["json"] else [*last, renderer, shorten],
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"handlers": ["stderr"], "level": options["level"]},
            "loggers": {
                "django.security.DisallowedHost": {"level": "ERROR"},
                "django.request": {"level": "ERROR"},
                # each statement, each name that a template asks for in vain, each message and its arguments
                "django.db.backends": {"level": "INFO"},
                "django.template": {"level": "INFO"},
                "celery": {"level": "INFO"},
                "kombu": {"level": "INFO"},
                "asyncio": {"level": "WARNING"},
            },
        }
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
