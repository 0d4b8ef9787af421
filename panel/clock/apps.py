from django.apps import AppConfig


class ClockConfig(AppConfig):
    name = "panel.clock"
    label = "clock"
