"""People's accounts."""

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from panel.accounts.mail_address import mail_address
from panel.accounts.models import User
from panel.errors import Conflict, Invalid
from panel.text import line


def checked_user(*, username: str, email: str, password: str, name: str = "") -> User:
    """Not saved yet. `Invalid` or `Conflict` names the field."""
    user = User(username=username.strip(), email=mail_address(email), name=line(name, most=120, least=0))
    try:
        user.username_validator(user.username)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), field="username") from error
    if "@" in user.username and user.username.lower() != user.email.lower():
        raise Invalid(
            _("A username with @ in it is the address itself: another's would be taken for him."),
            field="username",
        )
    try:
        if password:
            validate_password(password, user)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), field="password") from error
    for field in ("username", "email"):
        value = getattr(user, field)
        if User.objects.filter(**{f"{field}__iexact": value}).exists():
            raise Conflict(
                _("The %(field)s %(value)s is taken.") % {"field": field, "value": value},
                code="name_taken",
                field=field,
            )
    return user


def has_address(user: User, email: str) -> bool:
    """Whether it is a verified address of his."""
    from allauth.account.models import EmailAddress  # noqa: PLC0415

    return bool(EmailAddress.objects.filter(user=user, email__iexact=email, verified=True).exists())


def save_user(user: User, password: str) -> None:
    """Insert with a password (or none that works) and a verified address, which passkeys need."""
    from allauth.account.models import EmailAddress  # noqa: PLC0415

    user.set_password(password or None)
    user.save(force_insert=True)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
