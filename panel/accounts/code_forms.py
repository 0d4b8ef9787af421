"""The code of a second factor, guessed no faster than a password: allauth's forms behind our counts."""

from allauth.account.adapter import get_adapter
from allauth.core import context
from allauth.mfa.base import forms
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn import forms as keys
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from panel.accounts import guesses

#: Of one person.
MOST_SECURITY_KEYS = 20


class _Counted:
    """Codes of a person who is at the second step of signing in, or confirms what he does."""

    def clean_code(self) -> str:
        account = guesses.key_of(self.user.pk)  # type: ignore[attr-defined]
        try:
            attempt = guesses.begin(context.request, "code", account)
        except guesses.TooManyGuesses:
            raise get_adapter().validation_error("too_many_login_attempts") from None
        code: str = super().clean_code()  # type: ignore[misc]
        attempt.right()
        return code


class AuthenticateForm(_Counted, forms.AuthenticateForm):  # type: ignore[misc]  # allauth has no types
    pass


class ReauthenticateForm(_Counted, forms.ReauthenticateForm):  # type: ignore[misc]
    pass


class AddWebAuthnForm(keys.AddWebAuthnForm):  # type: ignore[misc]
    def clean(self) -> dict[str, object]:
        own = Authenticator.objects.filter(user=self.user, type=Authenticator.Type.WEBAUTHN)
        if own.count() >= MOST_SECURITY_KEYS:
            raise ValidationError(_("You have %(most)s security keys already.") % {"most": MOST_SECURITY_KEYS})
        cleaned: dict[str, object] = super().clean()
        return cleaned
