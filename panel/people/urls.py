from django.urls import path

from panel.people import token_views, views

_TENANT = "tenants/<uuid:tenant_id>"

urlpatterns = [
    path("tokens/", token_views.tokens, name="tokens"),
    path("tokens/<uuid:token_id>/revoke", token_views.revoke, name="token-revoke"),
    path(f"{_TENANT}/people/", views.people, name="people"),
    path(f"{_TENANT}/people/invite", views.invite, name="invite"),
    path(f"{_TENANT}/people/second-factor", views.second_factor, name="tenant-second-factor"),
    path(f"{_TENANT}/people/<uuid:user_id>/role", views.set_role, name="member-role"),
    path(f"{_TENANT}/people/<uuid:user_id>/remove", views.remove_member, name="member-remove"),
    path(f"{_TENANT}/roles/create", views.create_role, name="role-create"),
    path(f"{_TENANT}/support", views.enter_support, name="support-enter"),
    path("roles/<uuid:role_id>/", views.role, name="role"),
    path("roles/<uuid:role_id>/delete", views.delete_role, name="role-delete"),
    path("invitations/<uuid:invitation_id>/revoke", views.revoke_invitation, name="invitation-revoke"),
    path("invitations/accept/<str:key>/", views.accept, name="invitation-accept"),
    path("environments/<uuid:environment_id>/shares", views.environment_shares, name="environment-shares"),
    path("shares/<uuid:share_id>/remove", views.remove_share, name="share-remove"),
    path("support/", views.supports, name="supports"),
    path("support/<uuid:support_id>/end", views.end_support, name="support-end"),
]
