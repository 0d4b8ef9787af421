from django.apps import AppConfig


class MeteringConfig(AppConfig):
    name = "panel.metering"
    label = "metering"
