"""What answered a filter of the search language, in words for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from dam.assets.models import Asset
from dam.search.compile_fields import Asked
from dam.search.compile_places import albums_named, collections_named
from dam.search.language import Field
from dam.search.language_fields import FIELDS, TYPES, is_equivalent
from dam.search.language_values import read_scored
from dam.search.page_loaded import claims_of
from dam.tagging.models import Claim


def names_of(field: Field, asked: Asked) -> str:
    """The names of the places that a filter means, which may be written as a number; one query at most."""
    if field.name == "collection":
        places = collections_named(field.value, user=asked.user)
        return ", ".join(sorted(set(places.values_list("name", flat=True))))
    if field.name == "album":
        return ", ".join(sorted(set(albums_named(field.value, user=asked.user).values())))
    if field.name == "score":
        return ",".join(str(pk) for pk in asked.names.named(read_scored(field.value).name))
    return ""


def fact_of(field: Field, asset: Asset, names: str) -> str:
    """What it is about this picture that answers the filter."""
    name, value = field.name, field.value
    if name == "is":
        name, value = is_equivalent(value)
    say = _FACTS.get(name)
    return say(asset, names) if say else str(FIELDS[name].read(value))


def _moment(value: datetime | None) -> str:
    return f"{timezone.localtime(value):%-d %B %Y}" if value else "an unknown day"


def _type(asset: Asset, _names: str) -> str:
    known = {media_type: name for name, media_type in TYPES.items()}
    return known.get(asset.media_type, asset.media_type).upper()


def _owner(asset: Asset, _names: str) -> str:
    person = asset.uploaded_by
    return (
        f"uploaded by {person.get_full_name() or person.get_username()}" if person else "uploaded by nobody"
    )


def _score(asset: Asset, names: str) -> str:
    wanted = {int(pk) for pk in names.split(",") if pk}
    said = [
        f"{claim.tag.name} {round(claim.score * 100)} %"
        for claim in claims_of(asset)
        if claim.tag_id in wanted and claim.score is not None and claim.state != Claim.State.REJECTED
    ]
    return ", ".join(said)


_FACTS: Mapping[str, Callable[[Asset, str], str]] = {
    "collection": lambda _asset, names: f"in {names}",
    "album": lambda _asset, names: f"in {names}",
    "type": _type,
    "width": lambda asset, _: f"{asset.width:,} px wide",
    "height": lambda asset, _: f"{asset.height:,} px high",
    "size": lambda asset, _: filesizeformat(asset.size),
    "taken": lambda asset, _: f"taken {_moment(asset.taken_at)}" if asset.taken_at else "no date",
    "uploaded": lambda asset, _: f"uploaded {_moment(asset.created_at)}",
    "camera": lambda asset, _: asset.camera or "no camera",
    "score": _score,
    "owner": _owner,
    "licence": lambda asset, _: asset.licence or "no licence",
    "similar": lambda _asset, _names: "looks alike",
}
