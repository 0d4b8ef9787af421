"""What nodes say, in the reader's language, and in a column.

A sentence comes as a code with values: see `runtime.contract.said`. Its translation is that of the code's
English template. Words without a code, of a program or an older node, are shown as they are.
"""

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.db import models
from django.utils.translation import gettext

import panel.words  # noqa: F401 (the panel's own sentences are known from here on)
from runtime.contract.said import NOTHING, TEMPLATES, Said, fill
from runtime.contract.words import steps


def shown(said: str) -> str:
    """A code that isn't known here, or that has other values than here, comes with its English."""
    if not isinstance(said, Said) or said.code not in TEMPLATES:
        return str(said)
    template = TEMPLATES[said.code]
    with suppress(KeyError, TypeError, ValueError):
        return fill(gettext(template), said.values, shown)
    return str(said)


def read(kept: Any) -> Said:
    """From a JSON column; of what is no sentence at all, nothing."""
    with suppress(ValueError):
        return Said.read(kept)
    return NOTHING


def step_name(name: str) -> str:
    return shown(steps.named(name))


if TYPE_CHECKING:
    _TextField = models.TextField[Said | str, Said]
else:
    _TextField = models.TextField


class SaidField(_TextField):
    """Plain text where there is no code, as it was in rows before codes; else the JSON of `Said.told`."""

    def from_db_value(self, value: str | None, *_: object) -> Said | None:
        return None if value is None else _of_text(value)

    def to_python(self, value: Any) -> Any:
        return value if value is None or isinstance(value, Said) else _of_text(str(value))

    def get_prep_value(self, value: Any) -> Any:
        told = value.told() if isinstance(value, Said) else value
        return json.dumps(told, ensure_ascii=False) if isinstance(told, dict) else super().get_prep_value(told)


def _of_text(text: str) -> Said:
    if text.startswith('{"code": '):
        with suppress(ValueError):
            return Said.read(json.loads(text))
    return Said(text)
