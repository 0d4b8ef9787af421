from django.urls import path

from panel.accounts import profile, views

urlpatterns = [
    path("sign-in/", views.sign_in, name="sign-in"),
    path("profile/", profile.profile, name="profile"),
    path("profile/sessions/<str:session_id>/end", profile.end_session, name="session-end"),
    path("profile/ssh-keys", profile.add_key, name="ssh-key-add"),
    path("profile/ssh-keys/<uuid:ssh_key_id>/remove", profile.remove_key, name="ssh-key-remove"),
]
