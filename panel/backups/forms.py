"""From what a browser sends to typed values. The rules are the services'."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.backups.keeping import MOST_DAYS
from panel.backups.models import Target
from panel.nodes.models import Node
from panel.storage.forms import ScheduleForm
from panel.storage.models import Proves
from panel.tenants.models import Tenant
from panel.ui.choices import offer
from panel.volumes.forms import CloneForm
from panel.volumes.models import Volume

_PLAIN = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}


def _days() -> forms.IntegerField:
    return forms.IntegerField(
        label=_("Days to keep it"),
        required=False,
        min_value=1,
        max_value=MOST_DAYS,
        help_text=_("Empty: until somebody deletes it."),
    )


class BackupForm(forms.Form):
    """`targets`: those that the environment can be backed up to."""

    target = forms.ChoiceField(label=_("To"))
    name = forms.CharField(
        label=_("Name"),
        max_length=63,
        required=False,
        help_text=_("Empty: the time."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    keep_days = _days()

    def __init__(self, *args: Any, targets: Sequence[Target], **more: Any) -> None:
        super().__init__(*args, **more)
        offer(self, "target", choices_of(targets))


class VolumeBackupForm(BackupForm):
    """`volumes`: those that its reader may back up; a target of another tenant or node is refused."""

    volume = forms.ChoiceField(label=_("Volume"))

    def __init__(self, *args: Any, volumes: Sequence[Volume], **more: Any) -> None:
        super().__init__(*args, **more)
        offer(self, "volume", [(str(one.pk), f"{one.name} ({one.tenant})") for one in volumes])
        self.is_usable = bool(volumes) and bool(more["targets"])


class KeepForm(forms.Form):
    """How long one backup is kept from now on."""

    keep_days = _days()


class DeleteBackupForm(forms.Form):
    """Of the last one of an environment."""

    typed_name = forms.CharField(
        label=_("Name of the environment"), required=False, widget=forms.TextInput(attrs=_PLAIN)
    )


class VolumeScheduleForm(ScheduleForm):
    target = forms.ChoiceField(label=_("To"))

    def __init__(self, *args: Any, targets: Sequence[Target], **more: Any) -> None:
        super().__init__(*args, **more)
        offer(self, "target", choices_of(targets))


class BackupScheduleForm(VolumeScheduleForm):
    proves = forms.ChoiceField(label=_("Proved by a start"), choices=Proves.choices, required=False)


def choices_of(targets: Sequence[Target]) -> list[tuple[str, str]]:
    return [(str(one.pk), f"{one.name} ({one.tenant})") for one in targets]


class _OnANode(forms.Form):
    """`nodes`: those that can get at the backup; of one alone nothing is asked."""

    def __init__(self, *args: Any, nodes: Sequence[Node] = (), **more: Any) -> None:
        super().__init__(*args, **more)
        if len(nodes) > 1:
            choices = [("", self.anywhere), *((str(one.pk), one.name) for one in nodes)]
            self.fields["node"] = forms.ChoiceField(label=_("Node"), choices=choices, required=False)

    anywhere: Any = _("Any node")


class NewFromBackupForm(_OnANode):
    name = forms.CharField(
        label=_("Name of the new environment"), max_length=63, widget=forms.TextInput(attrs=_PLAIN)
    )


class NewVolumeFromBackupForm(_OnANode, CloneForm):
    anywhere = _("As before")


def _line(label: Any, *, needed: bool = True, most: int = 253, **more: Any) -> forms.CharField:
    return forms.CharField(
        label=label, required=needed, max_length=most, widget=forms.TextInput(attrs=_PLAIN), **more
    )


def _secret(label: Any, *, needed: bool = False, **more: Any) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
    return forms.CharField(label=label, required=needed, strip=False, max_length=1024, widget=widget, **more)


def _text(label: Any, **more: Any) -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": 4, **_PLAIN})
    return forms.CharField(label=label, required=False, max_length=65_536, widget=widget, **more)


def server_fields(kind: str, *, is_new: bool) -> dict[str, forms.Field]:
    """By kind, as the API names them; what opens a server that is known is asked for only to change it."""
    kept: dict[str, Any] = {} if is_new else {"help_text": _("Empty: as it is.")}
    fields: dict[str, dict[str, forms.Field]] = {
        "directory": {},
        "node": {},
        "sftp": {
            "host": _line(_("Server")),
            "port": forms.IntegerField(label=_("Port"), min_value=1, max_value=65_535, initial=22),
            "user": _line(_("User"), most=64),
            "path": _line(_("Directory on the server"), most=512),
            "login_password": _secret(_("Password of the user"), **kept),
            "private_key": _text(
                _("Or a private key"), help_text=_("As ssh-keygen writes it, without a passphrase.")
            ),
        },
        "s3": {
            "endpoint": _line(_("Address of the server"), most=300, help_text="https://…"),
            "bucket": _line(_("Bucket"), most=63),
            "prefix": _line(_("Path in the bucket"), needed=False, most=512),
            "region": _line(_("Region"), needed=False, most=64),
            "access_key": _line(_("Access key"), needed=is_new, most=256, **kept),
            "secret_key": _secret(_("Secret key"), needed=is_new, **kept),
            "ca": _text(
                _("Certificates that vouch for it"), help_text=_("PEM; empty: those that everybody has.")
            ),
        },
    }
    return fields[kind]


def _inward() -> forms.BooleanField:
    return forms.BooleanField(label=_("May lie at a private address (administrators)"), required=False)


class ServerForm(forms.Form):
    """A server that is known. `may_open`: for who may let it lie inward and bound it."""

    def __init__(self, *args: Any, kind: str, may_open: bool, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields.update(server_fields(kind, is_new=False))
        if may_open:
            self.fields["inward"] = _inward()
            for name, label in (
                ("upload_mbit_s", _("At most there (Mbit/s)")),
                ("download_mbit_s", _("At most from there (Mbit/s)")),
            ):
                self.fields[name] = forms.IntegerField(
                    label=label, required=False, min_value=1, max_value=100_000, help_text=_("Empty: no bound.")
                )


class TargetForm(forms.Form):
    """`tenants`: those that its reader may name one for; `kind`: what is asked for."""

    name = forms.CharField(
        label=_("Name"),
        max_length=63,
        help_text=_("As environments are named; the directory is called by it."),
        widget=forms.TextInput(attrs=_PLAIN),
    )
    tenant = forms.ChoiceField(label=_("For"))
    node = forms.ChoiceField(label=_("Node"), help_text=_("Whose directory it is."))
    password = forms.CharField(
        label=_("Password of the repository"),
        required=False,
        strip=False,
        max_length=1024,
        help_text=_(
            "Empty: one is made and shown once. With that of a repository that is there, that is gone on with."
        ),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(
        self,
        *args: Any,
        tenants: Sequence[Tenant],
        nodes: Sequence[Node],
        kind: str = "directory",
        may_open: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(*args, **more)
        self.kind = kind
        if kind not in ("directory", "node"):
            del self.fields["node"]
            self.fields["name"].help_text = _("As environments are named.")
            self.fields.update(server_fields(kind, is_new=True))
            if may_open:
                self.fields["inward"] = _inward()
            offer(self, "tenant", [(str(one.pk), one.name) for one in tenants])
            return
        if kind == "node":
            self.fields["node"].help_text = _("Whose directory it is; environments of all nodes go there.")
        for name, rows in (("tenant", tenants), ("node", nodes)):
            offer(self, name, [(str(one.pk), one.name) for one in rows])
