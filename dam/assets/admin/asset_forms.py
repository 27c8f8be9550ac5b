"""What the admin asks about pictures."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction

from dam.assets.admin.collections import CollectionChoice, refusal
from dam.assets.editing import EDITABLE, RIGHTS, asset_update, assets_move, assets_update
from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.assets.models import Asset, Collection, Level
from dam.assets.rights import LICENCES
from dam.assets.selectors import collections_with

_NOTHING = "— as it is —"


class AssetForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Texts and rights of one picture."""

    user: Any = None
    """Who edits; set by the admin."""

    class Meta:
        model = Asset
        fields = EDITABLE

    def clean(self) -> dict[str, Any]:
        """Written here, inside the page's transaction, so that a refusal stands beside its field."""
        cleaned: dict[str, Any] = super().clean() or {}
        changes = {name: cleaned[name] for name in self.changed_data if name in cleaned}
        if self.errors or not changes:
            return cleaned
        try:
            with transaction.atomic():
                self.instance = asset_update(asset=Asset(pk=self.instance.pk), user=self.user, **changes)
        except (InvalidChangeError, NotAllowedError) as error:
            raise refusal(error, self) from None
        return cleaned

    def _post_clean(self) -> None:
        """The service has written; nothing is put into the instance a second time."""


class ManyForm(forms.Form):
    """The same for several pictures; what is left empty stays as it is."""

    collection = CollectionChoice(
        queryset=Collection.objects.none(), required=False, empty_label=_NOTHING, help_text="Move them there."
    )
    licence = forms.CharField(
        max_length=60,
        required=False,
        help_text=f"Such as {', '.join(list(LICENCES)[:3])}, or words of your own.",
    )
    copyright_holder = forms.CharField(max_length=200, required=False)
    credit = forms.CharField(max_length=200, required=False, label="Credit line")
    release_status = forms.ChoiceField(choices=[("", _NOTHING), *Asset.Release.choices], required=False)
    expires_on = forms.DateField(
        required=False, widget=forms.DateInput(attrs={"type": "date"}), help_text="The last day of use."
    )
    embargo_until = forms.DateField(
        required=False, widget=forms.DateInput(attrs={"type": "date"}), help_text="The first day of use."
    )

    def __init__(self, *args: Any, user: Any, asset_ids: list[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user, self.asset_ids = user, asset_ids
        self.fields["collection"].queryset = collections_with(user, Level.CONTRIBUTE)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """All of it is done, or nothing."""
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        rights = {name: cleaned[name] for name in RIGHTS if cleaned.get(name)}
        if not rights and not cleaned.get("collection"):
            raise ValidationError("Fill in what is to change.")
        try:
            with transaction.atomic():
                if rights:
                    assets_update(asset_ids=self.asset_ids, user=self.user, **rights)
                if cleaned.get("collection"):
                    assets_move(asset_ids=self.asset_ids, collection=cleaned["collection"], user=self.user)
        except (InvalidChangeError, NotAllowedError) as error:
            raise refusal(error, self) from None
        return cleaned
