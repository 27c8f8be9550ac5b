"""The addresses of the pages."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from dam.library import account, asset_page, models_page, status_page, views

urlpatterns = [
    path("", views.library, name="library"),
    path("cards/", views.cards, name="library-cards"),
    path("assets/<int:asset_id>/", asset_page.asset, name="asset"),
    path("assets/<int:asset_id>/decide/", asset_page.decide, name="asset-decide"),
    path("assets/<int:asset_id>/retry/", asset_page.retry, name="asset-retry"),
    path("tags/", views.tags, name="tags"),
    path("try/", views.try_it, name="try"),
    path("models/", models_page.models, name="models"),
    path("models/standing/", models_page.standing, name="models-standing"),
    path("status/", status_page.status, name="status"),
    path("status/live/", status_page.live, name="status-live"),
    path("models/promote/", models_page.promote, name="models-promote"),
    path("models/roll-back/", models_page.roll_back, name="models-roll-back"),
    path("models/shadow/", models_page.share_set, {"kind": "shadow"}, name="models-shadow"),
    path("models/canary/", models_page.share_set, {"kind": "canary"}, name="models-canary"),
    path("models/<int:version_id>/undo/", models_page.undo, name="models-undo"),
    path("models/<int:version_id>/take-back/", models_page.take_back, name="models-take-back"),
    path("favicon.ico", views.favicon, name="favicon"),
    path("sign-in/", account.SignIn.as_view(), name="sign-in"),
    path("sign-in/link/<str:uidb64>/<str:token>/", account.sign_in_by_link, name="sign-in-link"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("account/password/", account.password, name="password"),
    path("account/tokens/", account.tokens, name="tokens"),
    path("account/tokens/<slug:token_key>/revoke/", account.token_revoke, name="token-revoke"),
]
