from django.apps import AppConfig


class EnvironmentsConfig(AppConfig):
    name = "panel.environments"
    label = "environments"
