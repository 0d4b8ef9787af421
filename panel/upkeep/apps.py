from django.apps import AppConfig


class UpkeepConfig(AppConfig):
    name = "panel.upkeep"
    label = "upkeep"
