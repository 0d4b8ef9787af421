from django.apps import AppConfig


class TenantsConfig(AppConfig):
    name = "panel.tenants"
    label = "tenants"
