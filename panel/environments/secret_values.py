"""Values of an app's secrets: taken in, kept encrypted beside the document, which has only their counts.

A value is kept by its count until the node has the newest: what is cancelled or refused goes back to it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from django.utils.translation import gettext as _

from panel.at_rest import encrypted, encrypted_anew, plain
from panel.environments.models import Environment
from panel.errors import Conflict, Invalid
from runtime.contract import secret

FIELD = "app.secrets"
#: Of a secret's values, besides the one that the node has, so many are kept; of all together these letters,
#: encrypted: three times as much as an app may have.
_LAST = 2
_MOST_KEPT = 3 * (secret.MOST_BYTES_TOGETHER * 4 // 3 + 200 * secret.MOST)
_NAME = re.compile(get_args(secret.SecretName)[1].pattern)


def take(row: Environment, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with the count of each secret in place of its value, which the row has encrypted from now on.

    `app.secrets`: name to value; null takes one out, or all of them. What isn't named stays. A number is the
    count of a value that is kept: of an operation that is tried again. Raises `Invalid`, which repeats no
    value.
    """
    app = options.get("app")
    if not app or "secrets" not in app:
        return dict(options)
    known = dict((row.intent.get("app") or {}).get("secrets") or {})
    given = dict.fromkeys(known) if app["secrets"] is None else app["secrets"]
    if not isinstance(given, Mapping):
        raise Invalid(_("app.secrets is an object: the name of each secret, and its value."), field=FIELD)
    values = {name: dict(row.secrets.get(name, {})) for name in row.secrets}
    for name, value in given.items():
        _check(name, value)
        if value is None:
            known.pop(name, None)
        elif isinstance(value, int):
            if str(value) not in values.get(name, {}):
                raise Invalid(_("The value of the secret %(name)s is text.") % {"name": name}, field=FIELD)
            known[name] = value
        else:
            kept = values.setdefault(name, {})
            known[name] = max([known.get(name, 0), *map(int, kept)]) + 1
            kept[str(known[name])] = encrypted(value)
    row.secrets = _bounded(values, known)
    _check_together(row, known)
    return {**options, "app": {**app, "secrets": known}}


def _bounded(values: dict[str, dict[str, str]], known: Mapping[str, int]) -> dict[str, dict[str, str]]:
    """What may still be gone back to: of each the oldest, which the node has, and the last few. Raises
    `Conflict` while as much waits as may be: the database keeps no pile for a node that never takes it."""
    kept = {}
    for name, counts in values.items():
        order = sorted(counts, key=int)
        wanted = {*order[:1], *order[-_LAST:], str(known.get(name, ""))}
        kept[name] = {count: counts[count] for count in order if count in wanted}
    if sum(len(text) for counts in kept.values() for text in counts.values()) > _MOST_KEPT:
        raise Conflict(
            _("Secrets were set again and again, and the node has not taken them yet."),
            code="busy",
            next_step=_("Wait until it has ended, or cancel it."),
        )
    return kept


def _check(name: Any, value: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Invalid(
            _("A secret's name is a file's: letters, digits and _ . -, 64 at most, and no dot at first."),
            field=FIELD,
        )
    if value is not None and (isinstance(value, bool) or not isinstance(value, (str, int))):
        raise Invalid(_("The value of the secret %(name)s is text.") % {"name": name}, field=FIELD)
    if isinstance(value, str) and not 1 <= _bytes_of(value) <= secret.MOST_BYTES:
        raise Invalid(
            _("The secret %(name)s has 1 byte to 64 KiB.") % {"name": name},
            field=FIELD,
        )


def _bytes_of(text: str) -> int:
    """0: it isn't text that can be written (half of a surrogate pair)."""
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return 0


def _check_together(row: Environment, known: Mapping[str, int]) -> None:
    if len(known) > secret.MOST:
        raise Invalid(_("An app has at most %(most)s secrets.") % {"most": secret.MOST}, field=FIELD)
    together = sum(len(row.secrets.get(name, {}).get(str(n), "")) * 3 // 4 for name, n in known.items())
    if together > secret.MOST_BYTES_TOGETHER + 100 * secret.MOST:
        raise Invalid(_("All secrets of an app together have 256 KiB at most."), field=FIELD)


def values_of(row: Environment) -> dict[str, str]:
    """In plain text, for the node alone. What no key can read any more is left out."""
    counts = (row.intent.get("app") or {}).get("secrets") or {}
    found = {name: plain(row.secrets.get(name, {}).get(str(count), "")) for name, count in counts.items()}
    return {name: text for name, text in found.items() if text}


def prune(row: Environment) -> bool:
    """The node has the newest: values that it replaced are dropped. Whether there were any.

    The caller saves."""
    counts = (row.intent.get("app") or {}).get("secrets") or {}
    left = {
        name: {str(count): row.secrets[name][str(count)]}
        for name, count in counts.items()
        if str(count) in row.secrets.get(name, {})
    }
    is_other: bool = left != row.secrets
    row.secrets = left
    return is_other


def encrypt_anew(keys: Sequence[str]) -> int:
    """By the first key, what any of them can read; how many rows."""
    count = 0
    for row in Environment.objects.exclude(secrets={}).iterator():
        row.secrets = {
            name: {number: encrypted_anew(text, keys) for number, text in kept.items()}
            for name, kept in row.secrets.items()
        }
        row.save(update_fields=["secrets"])
        count += 1
    return count
