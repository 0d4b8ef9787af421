"""A field for numbers that need not be whole."""

from typing import Any

from django import forms


class NumberField(forms.FloatField):
    """Shows a number as one would type it: 30 rather than 30.0."""

    def prepare_value(self, value: Any) -> Any:
        return int(value) if isinstance(value, float) and value.is_integer() else value
