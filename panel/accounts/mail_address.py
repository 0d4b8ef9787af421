"""E-mail addresses as they are kept and compared: in lower case, ASCII only.

A change of case makes an I of `ı` and a k of the Kelvin sign: a look-alike address would pass for another.
A domain with other letters is written in its ASCII form (RFC 5891).
"""

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from panel.errors import Invalid


def mail_address(text: str, *, field: str = "email") -> str:
    """Raises `Invalid` for what is no address, or is one with letters outside ASCII before the `@`."""
    local, at, domain = text.strip().rpartition("@")
    if not local.isascii():  # before `lower`, which makes a k of the Kelvin sign as well
        raise Invalid(_("An e-mail address has only ASCII letters before the @."), field=field)
    try:
        address = f"{local}{at}{domain if domain.isascii() else domain.encode('idna').decode()}".lower()
        validate_email(address)
    except (ValidationError, UnicodeError) as error:
        raise Invalid(_("This isn't an e-mail address."), field=field) from error
    return address
