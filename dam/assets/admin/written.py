"""Forms of the admin whose services write while they are checked."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseRedirectBase


class WrittenByServices:
    """An admin whose form has called the services in ``clean``: a refusal stands beside its field."""

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """A form that knows who edits."""
        form: Any = super().get_form(request, *args, **kwargs)  # type: ignore[misc]  # of the ModelAdmin
        return type(form.__name__, (form,), {"user": request.user})

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Nothing is kept of a page that is shown again because another part of it is wrong."""
        with transaction.atomic():
            response: HttpResponse = super().changeform_view(request, *args, **kwargs)  # type: ignore[misc]
            if not isinstance(response, HttpResponseRedirectBase):
                transaction.set_rollback(True)
        return response

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:  # noqa: FBT001  # Django's
        """What the form has written."""
        del request, change
        form.save_m2m = lambda: None
        return form.instance

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        """Nothing is left to save."""
