from django.urls import path

from panel.accounts import views

urlpatterns = [
    path("tokens/", views.tokens, name="tokens"),
    path("tokens/<uuid:token_id>/revoke", views.revoke, name="token-revoke"),
    path("sign-in/", views.sign_in, name="sign-in"),
    path("profile/", views.profile, name="profile"),
]
