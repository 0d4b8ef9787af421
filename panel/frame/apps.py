from django.apps import AppConfig


class FrameConfig(AppConfig):
    name = "panel.frame"
    label = "frame"
