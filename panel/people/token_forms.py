"""The form of an API token."""

from collections.abc import Iterable

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.environments.models import Environment
from panel.people.forms import Permissions
from panel.rights.labels import choices
from panel.rights.permissions import FROM_ABOVE, GRANTABLE, ROLES, RoleName


class TokenForm(forms.Form):
    name = forms.CharField(label=_("What it is for"), max_length=120)
    tenant = forms.ChoiceField(label=_("Tenant"), required=False)
    role = forms.ChoiceField(
        label=_("Role"),
        required=False,
        choices=[
            ("", _("single permissions, chosen below")),
            *((name, RoleName(name).label) for name in ROLES),
        ],
    )
    days = forms.IntegerField(label=_("Days until it ends"), min_value=1, max_value=366, initial=90)
    networks = forms.CharField(
        label=_("Only from these networks"),
        required=False,
        help_text=_("As 192.0.2.0/24, separated by commas."),
    )
    environments = forms.MultipleChoiceField(
        label=_("Only for these environments"),
        required=False,
        help_text=_("None chosen: for all of the tenant."),
    )
    permissions = Permissions(
        label=_("Permissions"), required=False, choices=lambda: choices(GRANTABLE - FROM_ABOVE)
    )

    def offer(self, tenants: list[tuple[str, str]], environments: Iterable[Environment]) -> None:
        """What there is to choose from, for this actor."""
        self.fields["tenant"].choices = tenants  # type: ignore[attr-defined]
        self.fields["environments"].choices = [  # type: ignore[attr-defined]
            (str(row.pk), row.name) for row in environments
        ]
