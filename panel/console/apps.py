from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "panel.console"
    label = "console"
