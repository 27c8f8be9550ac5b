"""The vocabulary in the Django admin, to edit; predictions, decisions and claims, to read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dam.assets.admin.visible import OfVisibleAssets
from dam.assets.models import Asset
from dam.staff_admin import ByStaff, ReadOnlyAdmin, acting
from dam.tagging.models import Claim, Decision, ModelVersion, Prediction, Tag
from dam.tagging.services import claims_derive, tag_get_or_create, tag_update
from dam.tagging.vocabulary import lookup_of, vocabulary

# More at once would keep the request longer than a web server waits.
_MOST_AT_ONCE = 5_000


class TagForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """What curators decide about a tag."""

    threshold = forms.FloatField(
        min_value=0,
        max_value=1,
        initial=0.5,
        help_text="The least probability, between 0 and 1, from which on the tag is shown.",
        error_messages=dict.fromkeys(("min_value", "max_value"), "A threshold lies between 0 and 1."),
    )

    class Meta:
        model = Tag
        fields = ("name", "synonyms", "parents", "threshold", "active")

    def clean_name(self) -> str:
        """A name that search can find and no other tag has."""
        name = " ".join(str(self.cleaned_data["name"]).split())
        if not lookup_of(name=name, synonyms=()):
            raise ValidationError("A tag's name needs a letter or a digit.")
        self._refuse_taken([name], before=[self.instance.name])
        return name

    def clean_synonyms(self) -> list[str]:
        """Synonyms that lead to this tag alone; a model's own vocabulary may share some, which stay."""
        synonyms: list[str] = self.cleaned_data["synonyms"]
        self._refuse_taken(synonyms, before=self.instance.synonyms)
        return synonyms

    def _refuse_taken(self, names: Iterable[str], *, before: Iterable[str]) -> None:
        """Names that were not there before belong to no other tag."""
        old = set(lookup_of(name="", synonyms=before))
        new = {form: name for name in names for form in lookup_of(name=name, synonyms=()) if form not in old}
        others = Tag.objects.exclude(pk=self.instance.pk).filter(lookup__overlap=list(new))
        taken = {form: other for other in others.order_by("name") for form in other.lookup if form in new}
        if taken:
            raise ValidationError(
                [
                    f"“{new[form]}” is a name or synonym of the tag “{other}” already."
                    for form, other in taken.items()
                ]
            )

    def clean_parents(self) -> QuerySet[Tag]:
        """No tag lies above itself."""
        parents: QuerySet[Tag] = self.cleaned_data["parents"]
        own = self.instance.pk
        if own is not None and any(own == parent.pk or own in parent.ancestor_ids for parent in parents):
            raise ValidationError("A tag cannot lie above itself.")
        return parents


@admin.register(Tag)
class TagAdmin(ByStaff, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Every write goes through the services, which keep names to look up and ancestors in step."""

    form = TagForm
    list_display = ("name", "slug", "kind", "threshold", "active", "also_called")
    list_filter = ("active", "kind")
    search_fields = ("name", "slug")
    autocomplete_fields = ("parents",)
    readonly_fields = ("slug", "kind")
    fields = ("name", "slug", "kind", "synonyms", "parents", "threshold", "active")
    actions = ("derive_again",)

    def has_delete_permission(self, request: HttpRequest, obj: Tag | None = None) -> bool:
        """Tags are retired (not active), since predictions and decisions name them."""
        del request, obj
        return False

    def save_model(self, request: HttpRequest, obj: Tag, form: Any, change: bool) -> None:  # noqa: FBT001  # Django's
        """Name, synonyms, threshold, active; the parents follow in ``save_related``."""
        facts = {name: form.cleaned_data[name] for name in ("name", "synonyms", "threshold", "active")}
        user = acting(request)
        tag = Tag.objects.get(pk=obj.pk) if change else tag_get_or_create(name=facts["name"], user=user)[0]
        tag_update(tag=tag, user=user, **facts)
        obj.pk, obj.slug, obj.kind = tag.pk, tag.slug, tag.kind

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001
        """The parents, and with them all ancestors."""
        del formsets, change
        tag_update(
            tag=Tag.objects.get(pk=form.instance.pk),
            user=acting(request),
            parents=form.cleaned_data["parents"],
        )
        self.message_user(
            request,
            "Pictures follow when their claims are derived again (an action of the list).",
            messages.INFO,
        )

    @admin.action(description="Derive the claims of these tags again", permissions=["change"])
    def derive_again(self, request: HttpRequest, queryset: QuerySet[Tag]) -> None:
        """Apply new thresholds and names to every picture that has one of the tags among its scores."""
        ids = set(queryset.values_list("pk", flat=True))
        # What lies below a tag is shown or hidden with it.
        ids |= set(Tag.objects.filter(ancestor_ids__overlap=sorted(ids)).values_list("pk", flat=True))
        scored = Prediction.objects.filter(asset=OuterRef("pk"), tag_ids__overlap=sorted(ids))
        assets = Asset.objects.filter(Q(tag_ids__overlap=sorted(ids)) | Exists(scored))
        # In the order of the key and bounded: read until there are too many, never sorted as a whole.
        affected = list(assets.order_by("pk").values_list("pk", flat=True)[: _MOST_AT_ONCE + 1])
        if len(affected) > _MOST_AT_ONCE:
            self.message_user(
                request, f"More than {_MOST_AT_ONCE:,} pictures: use `vitrine derive_claims`.", messages.ERROR
            )
            return
        words = vocabulary()
        for asset in Asset.objects.filter(pk__in=affected).order_by("pk"):
            claims_derive(asset=asset, words=words)
        self.message_user(request, f"The claims of {len(affected)} pictures were derived again.")

    @admin.display(description="synonyms")
    def also_called(self, tag: Tag) -> str:
        """In one line."""
        return ", ".join(tag.synonyms)


def _asset_link(asset_id: int) -> SafeString:
    """By id, so that a list needs no other table."""
    address = reverse("admin:assets_asset_change", args=[asset_id])
    return format_html('<a href="{}">{}</a>', address, asset_id)


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    """Which models answered."""

    list_display = (
        "name",
        "version",
        "registry_version",
        "alias",
        "withdrawn_at",
        "vocabulary_id",
        "embedding_id",
        "created_at",
    )
    list_filter = ("name", "alias")


@admin.register(Prediction)
class PredictionAdmin(OfVisibleAssets, ReadOnlyAdmin):
    """Raw answers."""

    list_display = ("id", "asset_link", "model_version", "generation", "purpose", "created_at")
    list_filter = ("purpose", "model_version")
    list_select_related = ("model_version",)
    exclude = ("embedding",)
    ordering = ("-id",)

    @admin.display(description="asset")
    def asset_link(self, prediction: Prediction) -> SafeString:
        """The picture."""
        return _asset_link(prediction.asset_id)


@admin.register(Decision)
class DecisionAdmin(OfVisibleAssets, ReadOnlyAdmin):
    """What people said."""

    list_display = ("id", "asset_link", "tag", "verdict", "decided_by", "decided_at", "model_version")
    list_filter = ("verdict", "decided_at", "model_version")
    list_select_related = ("tag", "decided_by", "model_version")
    search_fields = ("tag__name",)
    ordering = ("-id",)

    @admin.display(description="asset")
    def asset_link(self, decision: Decision) -> SafeString:
        """The picture."""
        return _asset_link(decision.asset_id)


@admin.register(Claim)
class ClaimAdmin(OfVisibleAssets, ReadOnlyAdmin):
    """What people see."""

    list_display = ("id", "asset_link", "tag", "state", "source", "score", "threshold", "model_version")
    list_filter = ("state", "source", "model_version")
    list_select_related = ("tag", "model_version")
    search_fields = ("tag__name",)
    ordering = ("-id",)

    @admin.display(description="asset")
    def asset_link(self, claim: Claim) -> SafeString:
        """The picture."""
        return _asset_link(claim.asset_id)
