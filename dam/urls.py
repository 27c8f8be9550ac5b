"""The addresses of the catalogue."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("dam.library.urls")),
    path("", include("dam.api.urls")),
    path("admin/", admin.site.urls),
]
