"""The rules of rollouts in the Django admin, to edit; what is in service and what was done, to read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from dam.rollout.models import Rollout, Step
from dam.rollout.services import rules_set
from dam.staff_admin import ByStaff, ReadOnlyAdmin

_IN_SERVICE = (
    "champion",
    "challenger",
    "predecessor",
    "promoted_at",
    "challenged_at",
    "reported_at",
    "canary_share",
)
_TRIAL = ("shadow_share", "sample_size")
_GATE = ("min_pictures", "min_reviews", "most_precision_lost", "most_recall_lost", "most_times_slower")
_WATCH = (
    "watch_hours",
    "watch_min_reviews",
    "watch_precision_lost",
    "watch_errors_risen",
    "watch_times_slower",
)


@admin.register(Rollout)
class RolloutAdmin(ByStaff, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """One row. Staff reads; the rules are changed by those who may manage rollouts."""

    list_display = ("__str__", "champion", "challenger", "predecessor", "reported_at")
    list_select_related = ("champion", "challenger", "predecessor")
    readonly_fields = _IN_SERVICE
    fieldsets = (
        ("In service", {"fields": _IN_SERVICE}),
        ("What a challenger is shown", {"fields": _TRIAL}),
        ("The gate to promotion", {"fields": _GATE}),
        ("The watch over a new champion", {"fields": _WATCH}),
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Of the staff, who may manage rollouts."""
        del obj
        return self.has_module_permission(request) and request.user.has_perm("rollout.manage_rollout")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only where the controller has not reported yet, so that rules can be made before."""
        del obj
        return self.has_change_permission(request) and not Rollout.objects.exists()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """It is always there."""
        del request, obj
        return False

    def save_model(self, request: HttpRequest, obj: Rollout, form: Any, change: bool) -> None:  # noqa: FBT001  # Django's
        """The rules alone, since the rest may have changed while they were edited."""
        del change
        rules_set(user=request.user, rules={name: form.cleaned_data[name] for name in form.changed_data})
        obj.pk = 1


@admin.register(Step)
class StepAdmin(ReadOnlyAdmin):
    """What was done, asked for or refused."""

    list_display = ("id", "kind", "state", "source", "version", "before", "forced", "by", "created_at")
    list_filter = ("kind", "state", "source")
    list_select_related = ("version", "before", "by")
    ordering = ("-id",)
