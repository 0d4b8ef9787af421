"""From what a browser sends to typed values. The rules are the services'."""

import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.accounts.models import SshKey
from panel.accounts.ssh_key_field import ssh_key_field
from panel.environments.models import Environment
from panel.environments.options import OPTIONS
from panel.ui.number_field import NumberField
from runtime.contract import Device


def split_lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def split_words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def tags_field() -> forms.CharField:
    return forms.CharField(
        label=_("Tags"),
        required=False,
        max_length=700,
        help_text=_("Words to find it by, between spaces: web production."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )


class SavedKeys(forms.Form):
    """Mixed into a form that gives keys: those that its person keeps, beside what is typed."""

    saved_keys = forms.MultipleChoiceField(label=_("Your saved keys"), required=False)

    def offer_keys(self, keys: Iterable[SshKey]) -> None:
        self.keys = {str(key.pk): key.text for key in keys}
        self.fields["saved_keys"].choices = [(pk, pk) for pk in self.keys]  # type: ignore[attr-defined]

    def all_keys(self) -> list[str]:
        """The chosen, and the typed."""
        chosen = [self.keys[pk] for pk in self.cleaned_data["saved_keys"]]
        return [*chosen, *split_lines(self.cleaned_data["ssh_keys"])]


class LimitsForm(forms.Form):
    cpu = NumberField(
        label=_("vCPU"), required=False, widget=forms.NumberInput(attrs={"min": "0.05", "step": "0.05"})
    )
    memory_mb = forms.IntegerField(
        label=_("Memory, MiB"), required=False, widget=forms.NumberInput(attrs={"min": 16, "step": 1})
    )
    disk_mb = forms.IntegerField(
        label=_("Disk, MiB"), required=False, widget=forms.NumberInput(attrs={"min": 16, "step": 1})
    )
    processes = forms.IntegerField(
        label=_("Processes"), required=False, widget=forms.NumberInput(attrs={"min": 16, "step": 1})
    )

    def limits(self) -> dict[str, Any]:
        """Only what was filled in."""
        names = ("cpu", "memory_mb", "disk_mb", "processes")
        return {name: self.cleaned_data[name] for name in names if self.cleaned_data.get(name) is not None}


class PlanForm(forms.Form):
    plan = forms.CharField(label=_("Plan"), max_length=63)


#: What people want a device for.
WHAT_FOR = {
    Device.TUN: _("tunnels of its own (VPN)"),
    Device.FUSE: _("file systems of its own (sshfs, AppImage)"),
}


class DevicesForm(forms.Form):
    devices = forms.MultipleChoiceField(
        label=_("Devices"), required=False, choices=[(device.value, device.value) for device in Device]
    )


#: Fields of `CreateForm` that are folded up at first.
_FURTHER = ("kind", "kernel", "ipv4", "ipv6", "description", "tags", "devices")


class AppForm(forms.Form):
    """What is asked of an app alone; the rest, its image says."""

    app_command = forms.CharField(
        label=_("Command"),
        required=False,
        max_length=4000,
        help_text=_("In place of the image's own, as a shell reads words."),
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
    )
    app_args = forms.CharField(
        label=_("Arguments"),
        required=False,
        max_length=4000,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
    )
    app_env = forms.CharField(
        label=_("Variables"),
        required=False,
        help_text=_("One per line: NAME=value."),
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocapitalize": "none"}),
    )
    app_user = forms.CharField(
        label=_("User"),
        required=False,
        max_length=128,
        help_text=_("A name that the image knows, or a number."),
    )
    app_ports = forms.CharField(
        label=_("Published ports"),
        required=False,
        max_length=1000,
        help_text=_("80 takes a free port of the node, 20080:80/tcp that one."),
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
    )
    app_read_only = forms.BooleanField(label=_("Its root can't be written to"), required=False)
    app_init = forms.BooleanField(label=_("A small init before it"), required=False)

    def clean_app_command(self) -> list[str]:
        return self._words("app_command")

    def clean_app_args(self) -> list[str]:
        return self._words("app_args")

    def clean_app_ports(self) -> list[str]:
        return split_words(self.cleaned_data["app_ports"])

    def clean_app_env(self) -> dict[str, str]:
        lines = split_lines(self.cleaned_data["app_env"])
        for line in lines:
            if "=" not in line:
                raise forms.ValidationError(_("Each line is NAME=value."))
        return dict(line.split("=", 1) for line in lines)

    def _words(self, name: str) -> list[str]:
        try:
            return shlex.split(self.cleaned_data[name])
        except ValueError as odd:
            raise forms.ValidationError(_("A quotation mark isn't closed.")) from odd

    def app(self) -> dict[str, Any]:
        """Only what was filled in."""
        names = ("command", "args", "env", "user", "ports", "read_only", "init")
        return {name: self.cleaned_data[f"app_{name}"] for name in names if self.cleaned_data[f"app_{name}"]}


class CreateForm(SavedKeys, LimitsForm, DevicesForm, AppForm):
    name = forms.CharField(
        label=_("Name"),
        max_length=63,
        help_text=_("Also its host name: lower-case letters, digits and hyphens."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )
    tenant = forms.CharField(required=False)
    image = forms.CharField(label=_("Image"), max_length=400)
    plan = forms.CharField(required=False, max_length=63)
    kind = forms.CharField(label=_("Kind"), max_length=16, widget=forms.Select)
    kernel = forms.CharField(label=_("Kernel"), max_length=16, widget=forms.Select)
    ssh_keys = ssh_key_field(
        _("SSH public keys"),
        _("One per line, as in ~/.ssh/id_ed25519.pub. Without one, a root password is made."),
    )
    description = forms.CharField(label=_("Description"), required=False, max_length=400)
    tags = tags_field()
    ipv4 = forms.IntegerField(
        label=_("IPv4 addresses"), required=False, widget=forms.NumberInput(attrs={"min": 0, "max": 16})
    )
    ipv6 = forms.IntegerField(
        label=_("IPv6 addresses"), required=False, widget=forms.NumberInput(attrs={"min": 0, "max": 16})
    )
    is_started = forms.BooleanField(label=_("Start it at once"), required=False, initial=True)


class GeneralForm(forms.Form):
    name = forms.CharField(
        label=_("Name"), max_length=63, widget=forms.TextInput(attrs={"spellcheck": "false"})
    )
    description = forms.CharField(label=_("Description"), required=False, max_length=400)
    tags = tags_field()

    @property
    def has_further_errors(self) -> bool:
        """Whether a field below *more* was refused: it is opened then."""
        return any(self[name].errors for name in _FURTHER)

    def changes(self, row: Environment) -> dict[str, Any]:
        """Only what isn't so already."""
        wanted = {**self.cleaned_data, "tags": split_words(self.cleaned_data["tags"])}
        known = {"name": row.name, "description": row.description, "tags": [t.name for t in row.tags.all()]}
        return {key: value for key, value in wanted.items() if value != known[key]}


class RestartForm(forms.Form):
    mode = forms.ChoiceField(
        label=_("When its init ends by itself"),
        choices=[
            ("always", _("start it again, always")),
            ("on-failure", _("start it again after a failure")),
            ("never", _("leave it stopped")),
        ],
    )
    stop_timeout_s = NumberField(
        label=_("Seconds to stop politely, before force"),
        widget=forms.NumberInput(attrs={"min": 0, "max": 600}),
    )


class KeysForm(SavedKeys):
    ssh_keys = ssh_key_field(
        _("SSH public keys of root"), _("One per line. Replaces the keys that are there."), rows=4
    )


class PasswordForm(forms.Form):
    root_password = forms.CharField(
        label=_("New root password"),
        required=False,
        strip=False,
        help_text=_("Empty: one is made and shown once."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class _Unshown(forms.Textarea):
    """What is typed isn't sent back to the browser."""

    def format_value(self, value: Any) -> str:
        return ""


class SecretForm(forms.Form):
    secret_name = forms.CharField(
        label=_("Name"),
        max_length=64,
        help_text=_("Of the file below /run/secrets."),
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}),
    )
    value = forms.CharField(
        label=_("Value"),
        required=False,
        strip=False,
        max_length=65_536,
        help_text=_("It is shown nowhere any more. One that is there is replaced without a restart."),
        widget=_Unshown(attrs={"rows": 3, "spellcheck": "false", "autocapitalize": "none"}),
    )
    remove = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def secrets(self) -> dict[str, str | None]:
        """A browser ends lines as HTTP does."""
        values = self.cleaned_data
        text = values["value"].replace("\r\n", "\n")
        return {values["secret_name"]: None if values["remove"] else text}


class ReinstallForm(forms.Form):
    image = forms.CharField(label=_("Image"), max_length=400)
    keep_old = forms.BooleanField(label=_("Keep the old files, under /old"), required=False)


class DeleteForm(forms.Form):
    typed_name = forms.CharField(label=_("Type its name to delete it"), required=False)
    now = forms.BooleanField(label=_("At once and for good, past the trash"), required=False)


class UndeleteForm(forms.Form):
    name = forms.CharField(
        label=_("Name"), max_length=63, widget=forms.TextInput(attrs={"spellcheck": "false"})
    )


class OptionsForm(forms.Form):
    """Options without a form of their own, as the table offers them."""

    def __init__(self, data: Any = None, *, document: Mapping[str, Any]) -> None:
        self.known = {place: _at(document, place) for place in _offered()}
        super().__init__(data, initial=self.known)
        for place, make in _offered().items():
            self.fields[place] = make()

    def changes(self) -> dict[str, Any]:
        """Of each option what isn't so already."""
        found: dict[str, Any] = {}
        for place, value in self.cleaned_data.items():
            if value is not None and value != self.known[place]:
                name, _dot, inner = place.partition(".")
                if inner:
                    found.setdefault(name, {})[inner] = value
                else:
                    found[name] = value
        return found


def _offered() -> dict[str, Callable[[], forms.Field]]:
    return {place: make for option in OPTIONS.values() for place, make in option.fields.items()}


def _at(document: Mapping[str, Any], place: str) -> Any:
    found: Any = document
    for name in place.split("."):
        found = found.get(name) if found else None
    return found
