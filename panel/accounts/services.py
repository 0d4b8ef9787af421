"""People's accounts."""

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from panel.accounts.mail_address import mail_address
from panel.accounts.models import User
from panel.audit.services import record
from panel.errors import Conflict, Invalid
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.text import line


def create_user(
    actor: Actor,
    *,
    username: str,
    email: str,
    password: str = "",
    name: str = "",
    is_administrator: bool = False,
) -> User:
    """An account with a verified address; without a password its owner sets one by mail."""
    actor.require(Permission.USER_MANAGE)
    with transaction.atomic():
        user = checked_user(username=username, email=email, password=password, name=name)
        user.is_superuser = is_administrator
        save_user(user, password)
        record(actor, "user.create", target=user, after={"is_administrator": is_administrator})
    return user


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
