"""The API object; every domain's routes are added here."""

from ninja import NinjaAPI

api = NinjaAPI(title="Wadah", version="1")
