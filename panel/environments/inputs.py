"""Checking what people ask for: contract errors become sentences that name the field."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from panel.errors import Invalid
from panel.said import shown
from runtime.contract import NO_IMAGE, Base, Kernel, Kind, Reference
from runtime.contract.base import NAME


def check_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise Invalid(
            _("A name has 1 to 63 lower-case letters, digits and hyphens, and no hyphen at either end."),
            field="name",
        )
    return name


def check_kind(kind: str) -> Kind:
    if kind not in set(Kind):
        raise Invalid(
            _("The kind is one of %(kind)s, not %(kind_2)s.") % {"kind": ", ".join(Kind), "kind_2": kind[:40]},
            field="kind",
        )
    return Kind(kind)


def check_app(kind: str, image: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The image as it is kept, and the options with those of an app, which nothing else has."""
    if kind != Kind.APP:
        refuse_app(options)
        return image, dict(options)
    return check_reference(image), {**options, "app": options.get("app") or {}}


def check_jail(kind: str, image: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """As `check_app`, of a jail: one that begins empty has no image."""
    if kind != Kind.JAIL:
        refuse_jail(options)
        if not image:
            raise Invalid(_("Name an image."), field="image")
        return image, dict(options)
    jail = options.get("jail") or {}
    if jail.get("base") == Base.EMPTY:
        if image not in ("", NO_IMAGE):
            raise Invalid(_("An empty jail has no image."), field="image")
        image = NO_IMAGE
    elif not image:
        raise Invalid(_("Name an image, or ask for an empty jail."), field="image")
    return image, {**options, "jail": jail}


def refuse_jail(options: Mapping[str, Any]) -> None:
    if options.get("jail") is not None:
        raise Invalid(_("jail: only an environment of kind jail takes jail options."), field="jail")


def refuse_boot_words(kernel: str, options: Mapping[str, Any]) -> None:
    if options.get("boot_words") and kernel != Kernel.OWN:
        raise Invalid(
            _("boot_words: only a kernel of its own hears them; this one has the kernel %(kernel)s.")
            % {"kernel": kernel},
            field="boot_words",
            next_step=_("Turn the dial first."),
        )


def refuse_signals(kernel: str, options: Mapping[str, Any]) -> None:
    """On a kernel of its own the host sees none of its processes."""
    given = options.get("limit_rules") or ()
    if kernel != Kernel.SHARED and any(":sig" in one for one in given):
        raise Invalid(
            _("limit_rules: a rule signals on the host's kernel only; here it can tell (log)."),
            field="limit_rules",
        )


def beside(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """The options of a new app without what features make of them (ports that it is published by, volumes that
    it begins with), and those: the node knows them by other parts. Raises `Invalid` for what is no list."""
    app, found = dict(options["app"]), {}
    for name, is_like in (("ports", "80, 8080:80, 8080:80/udp"), ("volumes", "NAME:/path, NAME:/path:ro")):
        found[name] = app.pop(name, None) or []
        if not isinstance(found[name], list):
            raise Invalid(
                _("%(field)s is a list: %(examples)s.") % {"field": f"app.{name}", "examples": is_like},
                field=f"app.{name}",
            )
    return {**options, "app": app}, found


def refuse_app(options: Mapping[str, Any]) -> None:
    if options.get("app") is not None:
        raise Invalid(_("app: only an environment of kind app takes app options."), field="app")


def check_reference(image: str) -> str:
    """As `docker pull` reads it, written out."""
    try:
        return str(Reference.parse(image))
    except ValueError as odd:
        raise Invalid(
            _("%(image)s names no image: %(why)s.") % {"image": image[:100], "why": shown(odd.args[0])},
            field="image",
            code="bad_reference",
            next_step=_("An app's image is named HOST/NAME:TAG or HOST/NAME@sha256:…"),
        ) from odd


def check_kernel(kernel: str) -> Kernel:
    if kernel not in set(Kernel):
        raise Invalid(
            _("The kernel is one of %(kernel)s, not %(kernel_2)s.")
            % {"kernel": ", ".join(Kernel), "kernel_2": kernel[:40]},
            field="kernel",
        )
    return Kernel(kernel)
