from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "panel.accounts"
    label = "accounts"

    def ready(self) -> None:
        from panel.accounts.signals import listen  # noqa: PLC0415

        listen()
