from django.apps import AppConfig


class RegistriesConfig(AppConfig):
    name = "panel.registries"
    label = "registries"
