from django.apps import AppConfig


class QuotasConfig(AppConfig):
    name = "panel.quotas"
    label = "quotas"
