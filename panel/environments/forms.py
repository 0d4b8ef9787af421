"""From what a browser sends to typed values. The rules are the services'."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel import codes
from panel.accounts.models import SshKey
from panel.accounts.ssh_key_field import ssh_key_field
from panel.environments.answers import DeviceOfEnvironment
from panel.environments.host_devices import HIDDEN
from panel.environments.models import Environment
from panel.environments.option_parts import Group
from panel.environments.options import at, default_at, fields_of, is_said, laid_out, wholes
from panel.environments.typed_fields import PairsField
from panel.text import lines_of, words_of
from panel.ui.number_field import NumberField
from runtime.contract import Access, Device, Kernel, Kind, wants_of


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
        return [*chosen, *lines_of(self.cleaned_data["ssh_keys"])]


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


class KernelForm(forms.Form):
    kernel = forms.ChoiceField(label=_("Kernel"), choices=[(one.value, one.value) for one in Kernel])


_ACCESSES = [
    (HIDDEN, _("hidden")),
    (Access.READ.value, _("read")),
    (Access.READ_WRITE.value, _("read and write")),
]


class HostDevicesForm(forms.Form):
    """One choice for each device of its node's host."""

    def __init__(self, *args: Any, offered: Sequence[DeviceOfEnvironment], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for one in offered:
            told = [one["inside"], one["number"] and str(codes.value(one["sort"] or "")), one["why_not"]]
            self.fields[f"device-{one['name']}"] = forms.ChoiceField(
                label=one["name"],
                choices=_ACCESSES,
                initial=one["access"],
                help_text=" · ".join(part for part in told if part),
            )

    def given(self) -> list[dict[str, str]]:
        """As the services take it."""
        values = {name.removeprefix("device-"): value for name, value in self.cleaned_data.items()}
        return [{"name": name, "access": how} for name, how in values.items() if how != HIDDEN]


#: Fields of `CreateForm` that are folded up at first, beside options.
_FURTHER = ("kind", "kernel", "ipv4", "ipv6", "description", "tags", "devices")


class CreateForm(SavedKeys, LimitsForm, DevicesForm):
    """Of one kind: its options are those that the table has for it."""

    name = forms.CharField(
        label=_("Name"),
        max_length=63,
        help_text=_("Also its host name: lower-case letters, digits and hyphens."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )
    tenant = forms.CharField(required=False)
    image = forms.CharField(label=_("Image"), max_length=400)
    plan = forms.CharField(required=False, max_length=63)
    kind = forms.CharField(label=_("Kind"))
    kernel = forms.CharField(label=_("Kernel"))
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

    def __init__(self, data: Any = None, *, kind: Kind, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, initial=initial)
        self.wants = wants_of(kind)
        self.offered = fields_of(kind, is_new=True)
        # a jail that begins empty has none either
        self.fields["image"].required = self.wants.has_image and kind is not Kind.JAIL
        for place, one in self.offered.items():
            made = self.fields[place] = one.make()
            made.required = False  # what isn't sent isn't asked for
            if reads := getattr(made, "reads", ""):
                made.widget.attrs["data-reads"] = reads
            if one.whole:
                made.widget.attrs["data-whole"] = one.whole
            if isinstance(default := default_at(place), int | float) and not isinstance(default, bool):
                made.widget.attrs["placeholder"] = f"{default:g}"
        for name in ("ipv4", "ipv6"):
            self.fields[name].widget = self.fields[name].widget if self.wants.boots else forms.HiddenInput()
            self.fields[name].widget.attrs["placeholder"] = getattr(self.wants, name)

    def offer(self, name: str, words: Sequence[str]) -> None:
        """What there is to choose from: nothing is asked where that is one."""
        is_one = len(words) == 1
        self.fields[name].widget = (
            forms.HiddenInput() if is_one else forms.Select(choices=[(w, codes.value(w)) for w in words])
        )

    def grouped(self, *, is_folded: bool) -> list[tuple[Group, list[forms.BoundField]]]:
        """Options, as they stand together."""
        found: dict[Group, list[forms.BoundField]] = {}
        for place, one in self.offered.items():
            if one.group.is_folded is is_folded:
                found.setdefault(one.group, []).append(self[place])
        return list(found.items())

    @property
    def open_groups(self) -> list[tuple[Group, list[forms.BoundField]]]:
        return self.grouped(is_folded=False)

    @property
    def folded_groups(self) -> list[tuple[Group, list[forms.BoundField]]]:
        """Those with a heading of their own, below the rest."""
        return [one for one in self.grouped(is_folded=True) if one[0].is_closed]

    @property
    def folded_options(self) -> list[forms.BoundField]:
        groups = self.grouped(is_folded=True)
        return [field for group, fields in groups if not group.is_closed for field in fields]

    @property
    def folded(self) -> list[forms.BoundField]:
        return [field for _group, fields in self.grouped(is_folded=True) for field in fields]

    @property
    def has_further_errors(self) -> bool:
        """Whether a field that is folded up was refused: it is opened then."""
        return any(one.errors for one in (*(self[name] for name in _FURTHER), *self.folded))

    def options(self) -> dict[str, Any]:
        """Only what was asked for."""
        given = {place: self.cleaned_data[place] for place in self.offered}
        asked = {
            place: value for place, value in given.items() if is_said(value) and value != default_at(place)
        }
        return laid_out(wholes(asked, self.offered, {}))


class GeneralForm(forms.Form):
    name = forms.CharField(
        label=_("Name"), max_length=63, widget=forms.TextInput(attrs={"spellcheck": "false"})
    )
    description = forms.CharField(label=_("Description"), required=False, max_length=400)
    tags = tags_field()

    def changes(self, row: Environment) -> dict[str, Any]:
        """Only what isn't so already."""
        wanted = {**self.cleaned_data, "tags": words_of(self.cleaned_data["tags"])}
        known = {"name": row.name, "description": row.description, "tags": [t.name for t in row.tags.all()]}
        return {key: value for key, value in wanted.items() if value != known[key]}


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
    """Options of one group, as the table offers them."""

    def __init__(self, data: Any = None, *, group: Group, kind: Kind, document: Mapping[str, Any]) -> None:
        offered = fields_of(kind, is_new=False).items()
        mine = {place: one for place, one in offered if one.group is group}
        self.offered, self.document = mine, document
        self.known = {place: at(document, place) for place in mine}
        super().__init__(data, initial=self.known)
        for place, one in mine.items():
            self.fields[place] = one.make()

    def keep(self, places: Collection[str]) -> None:
        """Ask for these alone."""
        self.fields = {place: field for place, field in self.fields.items() if place in places}

    def changes(self) -> dict[str, Any]:
        """Of each option what isn't so already."""
        given = {place: self._given(place, value) for place, value in self.cleaned_data.items()}
        new = {place: value for place, value in given.items() if not self._is_so(place, value)}
        return laid_out(wholes(new, self.offered, self.document))

    def _given(self, place: str, value: Any) -> Any:
        field = self.fields[place]
        if isinstance(field, PairsField):
            value = {**field.unshown(self.known[place]), **value}
        is_empty = value is None or value in ("", [], {})
        return None if is_empty and self.offered[place].is_nullable else value

    def _is_so(self, place: str, value: Any) -> bool:
        known = self.known[place]
        if not self.offered[place].is_nullable:
            return value is None or value == known
        if not is_said(value) and not is_said(known):
            return True
        return bool(value == known or value == self.fields[place].prepare_value(known))

    @property
    def is_open(self) -> bool:
        """Of a group that is closed at first: something is said in it, or was refused."""
        return bool(self.errors) or any(is_said(value) for value in self.known.values())
