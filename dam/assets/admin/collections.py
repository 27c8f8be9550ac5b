"""The tree of the library and who may do what there, in the Django admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dam.assets import collections, grants
from dam.assets.admin.written import WrittenByServices
from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.assets.models import Collection, Grant, Level
from dam.assets.selectors import collections_with, level_in
from dam.staff_admin import ByStaff, acting


def refusal(error: InvalidChangeError | NotAllowedError, form: forms.BaseForm) -> ValidationError:
    """Why a service refused, beside the field that it is about."""
    field = getattr(error, "field", "")
    return ValidationError({field: str(error)} if field in form.fields else str(error))


def indented(collection: Any) -> str:
    """A collection's name, behind a wide space for each collection above it."""
    return "\u2003" * (int(collection.depth) - 1) + str(collection.name)


class CollectionChoice(forms.ModelChoiceField):  # type: ignore[type-arg]  # generic in the stubs only
    """Collections, indented as they lie in each other."""

    def label_from_instance(self, obj: Any) -> str:
        """The name, behind a space for each collection above it."""
        return indented(obj)


class CollectionForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Name and place of a collection, and what is true of what lies there."""

    user: Any = None
    """Who edits; set by the admin."""

    parent = CollectionChoice(queryset=Collection.objects.none(), help_text="Where it lies.")

    class Meta:
        model = Collection
        fields = ("name", "parent", "description", "default_licence")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        managed = collections_with(self.user, Level.MANAGE)
        self.fields["parent"].queryset = managed  # type: ignore[attr-defined]  # of a ModelChoiceField
        if self.instance.pk is not None:
            self.fields["parent"].initial = Collection.objects.get_parent(self.instance)
            # It may lie where the person manages nothing; then it stays there.
            self.fields["parent"].required = False

    def clean(self) -> dict[str, Any]:
        """Written here, inside the page's transaction, so that a refusal stands beside its field."""
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        facts = {name: cleaned[name] for name in ("name", "description", "default_licence")}
        try:
            if self.instance.pk is None:
                made = collections.collection_create(parent=cleaned["parent"], user=self.user, **facts)
                self.instance = made
            else:
                self._change(cleaned.get("parent"), facts)
        except (InvalidChangeError, NotAllowedError) as error:
            raise refusal(error, self) from None
        return cleaned

    def _change(self, parent: Collection | None, facts: dict[str, Any]) -> None:
        # The form has put what was typed into its own instance already.
        stored = Collection.objects.get(pk=self.instance.pk)
        changed = {name: value for name, value in facts.items() if getattr(stored, name) != value}
        if changed:
            collections.collection_update(collection=stored, user=self.user, **changed)
        if parent is not None and parent != Collection.objects.get_parent(stored):
            stored.refresh_from_db()
            collections.collection_move(collection=stored, parent=parent, user=self.user)

    def _post_clean(self) -> None:
        """The services have written; nothing is put into the instance a second time."""


class GrantForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Who may do what."""

    class Meta:
        model = Grant
        fields = ("user", "group", "level")

    def clean(self) -> dict[str, Any]:
        """A grant is to one user, to one group, or to everybody."""
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("user") and cleaned.get("group"):
            raise ValidationError("Choose a user or a group; neither means everybody.")
        return cleaned


class GrantInline(ByStaff, admin.TabularInline):  # type: ignore[type-arg]  # generic in the stubs only
    """What is given here, for this collection and everything below it."""

    model = Grant
    form = GrantForm
    fields = ("user", "group", "level")
    extra = 0


@admin.register(Collection)
class CollectionAdmin(WrittenByServices, ByStaff, admin.ModelAdmin):  # type: ignore[type-arg]
    """The tree of the library. Its root is where uploads go, so it stays where it is."""

    form = CollectionForm
    list_display = ("indented", "description", "default_licence", "pictures", "created_at")
    list_display_links = ("indented",)
    search_fields = ("name",)
    ordering = ("path",)
    inlines = (GrantInline,)
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Collection]:
        """What the person may see."""
        return collections_with(request.user)

    def get_inlines(self, request: HttpRequest, obj: Collection | None) -> tuple[Any, ...]:
        """Grants are for managers of what is there already."""
        return self.inlines if obj is not None and self.has_change_permission(request, obj) else ()

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who manages anything."""
        del obj
        return super().has_add_permission(request) and collections_with(request.user, Level.MANAGE).exists()

    def has_change_permission(self, request: HttpRequest, obj: Collection | None = None) -> bool:
        """Who manages it."""
        if not super().has_change_permission(request, obj):
            return False
        return obj is None or level_in(request.user, obj.pk) == Level.MANAGE

    def has_delete_permission(self, request: HttpRequest, obj: Collection | None = None) -> bool:
        """Not of the root; of others as long as nothing lives in them (the service sees to that)."""
        if obj is None:
            return super().has_delete_permission(request, obj)
        return obj.depth > 1 and self.has_change_permission(request, obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """One at a time: deleting many at once would not ask about each."""
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:  # noqa: FBT001
        """Grants, by the services, which write down who gave what."""
        del form, change
        for row in formset.deleted_forms:
            grants.grant_remove(grant=Grant.objects.get(pk=row.instance.pk), user=acting(request))
        for row in formset.forms:
            if row in formset.deleted_forms or not row.has_changed():
                continue
            given = row.cleaned_data
            before = Grant.objects.filter(pk=row.instance.pk).first() if row.instance.pk else None
            if before is not None and (before.user, before.group) != (given["user"], given["group"]):
                grants.grant_remove(grant=before, user=acting(request))
            grants.grant_set(
                collection=formset.instance,
                user=acting(request),
                level=Level(given["level"]),
                to_user=given["user"],
                to_group=given["group"],
            )
        formset.new_objects, formset.changed_objects, formset.deleted_objects = [], [], []

    def delete_model(self, request: HttpRequest, obj: Collection) -> None:
        """By the service, which refuses what is not empty."""
        try:
            collections.collection_delete(collection=obj, user=acting(request))
        except (InvalidChangeError, NotAllowedError) as error:
            self.message_user(request, str(error), "ERROR")

    @admin.display(description="name")
    def indented(self, collection: Collection) -> str:
        """As it lies in the tree."""
        return indented(collection)

    @admin.display(description="pictures")
    def pictures(self, collection: Collection) -> SafeString:
        """Those in it and below, in their own list."""
        address = reverse("admin:assets_asset_changelist", query={"collection": collection.pk})
        return format_html('<a href="{}">show</a>', address)
