from django.apps import AppConfig


class PlansConfig(AppConfig):
    name = "panel.plans"
    label = "plans"
