from django.apps import AppConfig


class TenancyConfig(AppConfig):
    name = "panel.tenancy"
    label = "tenancy"
