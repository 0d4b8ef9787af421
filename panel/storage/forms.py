from typing import Any, Self

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.storage.models import KEEPS, Schedule


class SnapshotForm(forms.Form):
    name = forms.CharField(
        label=_("Name"),
        max_length=63,
        required=False,
        help_text=_("Empty: the time."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class CloneForm(forms.Form):
    name = forms.CharField(
        label=_("Name of the new environment"),
        max_length=63,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )


#: Times that most people want, as crontab(5) writes them.
PRESETS = [
    ("0 * * * *", _("every hour")),
    ("0 3 * * *", _("every night at three")),
    ("0 3 * * 1", _("every Monday at three")),
    ("", _("as written below")),
]


class ScheduleForm(forms.Form):
    when = forms.ChoiceField(label=_("When"), choices=PRESETS, required=False)
    cron = forms.CharField(
        label=_("Written by hand"),
        max_length=100,
        required=False,
        help_text=_("Minute, hour, day of the month, month, day of the week: 30 2 * * 1-5"),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    last = forms.IntegerField(label=_("Last"), min_value=0, initial=0, required=False)
    hourly = forms.IntegerField(label=_("Hours"), min_value=0, initial=0, required=False)
    daily = forms.IntegerField(label=_("Days"), min_value=0, initial=7, required=False)
    weekly = forms.IntegerField(label=_("Weeks"), min_value=0, initial=4, required=False)
    monthly = forms.IntegerField(label=_("Months"), min_value=0, initial=0, required=False)
    is_on = forms.BooleanField(label=_("It runs"), required=False, initial=True)

    def __init__(self, *args: Any, **more: Any) -> None:
        """It may stand beside a form that has fields of the same names."""
        super().__init__(*args, **{"auto_id": "id_schedule_%s", **more})

    def numbers(self) -> list[forms.BoundField]:
        return [self[name] for name in KEEPS]

    def keep(self) -> dict[str, int]:
        return {name: self.cleaned_data[name] or 0 for name in KEEPS}

    @classmethod
    def of(cls, schedule: Schedule | None, **more: Any) -> Self:
        if schedule is None:
            return cls(initial={"when": "0 3 * * *"}, **more)
        known = {cron for cron, _label in PRESETS}
        when = schedule.cron if schedule.cron in known else ""
        keep = {
            name: getattr(schedule, f"keep_{name}") for name in ("last", "hourly", "daily", "weekly", "monthly")
        }
        known_now = {"when": when, "cron": "" if when else schedule.cron, "is_on": schedule.is_on, **keep}
        return cls(initial={**known_now, "target": schedule.target, "proves": schedule.proves}, **more)
