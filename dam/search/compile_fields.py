"""What the filters of the search language mean, as conditions on assets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from django.contrib.auth.models import User
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from dam.assets.models import AlbumEntry
from dam.assets.selectors import Person, assets_visible_to, usable_condition
from dam.search import language_fields as fields
from dam.search.compile_names import Names
from dam.search.compile_places import albums_named, collections_named, ids_below
from dam.search.compile_words import NOTHING, tagged
from dam.search.language import Field, SearchError
from dam.search.language_values import Bounds, Span, read_scored
from dam.search.similar import similar_ids
from dam.tagging.models import Claim

EXPIRING_WITHIN = timedelta(days=30)
_MOST_SIMILAR = 500


@dataclass(slots=True)
class Asked:
    """Who asks, what they know by name, and what they should be told."""

    user: Person | None
    """None: the system, which sees all and is nobody."""
    names: Names
    notices: list[str] = field(default_factory=list)
    ranked: tuple[int, ...] | None = None


def field_condition(node: Field, asked: Asked) -> Q:
    """The condition on assets; what people should know of it is added to ``asked``.

    Raises:
        SearchError: it needs somebody who asks.
    """
    name, value = node.name, node.value
    if name == "is":
        name, value = fields.is_equivalent(value)
    return _MEANINGS[name](Field(name, value, node.column), asked)


def bounds_condition(column: str, bounds: Bounds) -> Q:
    """That a number lies between these."""
    low = Q(**{f"{column}__gte": bounds.low}) if bounds.low is not None else Q()
    high = Q(**{f"{column}__lte": bounds.high}) if bounds.high is not None else Q()
    return low & high


def span_condition(column: str, span: Span) -> Q:
    """That a moment lies between these."""
    start = Q(**{f"{column}__gte": span.start}) if span.start is not None else Q()
    end = Q(**{f"{column}__lt": span.end}) if span.end is not None else Q()
    return start & end


def _tag(node: Field, asked: Asked) -> Q:
    return tagged(_known_tags(node.value, asked))


def _score(node: Field, asked: Asked) -> Q:
    scored = read_scored(node.value)
    ids = _known_tags(scored.name, asked)
    if not ids:
        return NOTHING
    claims = Claim.objects.filter(
        asset=OuterRef("pk"), tag__in=sorted(ids), **{f"score__{scored.lookup}": scored.score}
    )
    return Q(Exists(claims.exclude(state=Claim.State.REJECTED)))


def _known_tags(name: str, asked: Asked) -> frozenset[int]:
    ids = asked.names.named(name)
    if not ids:
        asked.notices.append(f"There is no tag “{name}”.")
    return ids


def _collection(node: Field, asked: Asked) -> Q:
    ids = ids_below(collections_named(node.value, user=asked.user), user=asked.user)
    if not ids:
        asked.notices.append(f"There is no collection “{node.value}”.")
        return NOTHING
    return Q(collection__any_of=ids)


def _album(node: Field, asked: Asked) -> Q:
    ids = sorted(albums_named(node.value, user=asked.user))
    if not ids:
        asked.notices.append(f"There is no album “{node.value}”.")
        return NOTHING
    return Q(Exists(AlbumEntry.objects.filter(asset=OuterRef("pk"), album__in=ids)))


def _type(node: Field, _asked: Asked) -> Q:
    name = fields.FIELDS["type"].read(node.value)
    if name == "heic":
        return Q(media_type__in=["image/heic", "image/heif"])
    return Q(media_type=fields.TYPES[name])


def _number(node: Field, _asked: Asked) -> Q:
    return bounds_condition(node.name, fields.FIELDS[node.name].read(node.value))


def _orientation(node: Field, _asked: Asked) -> Q:
    match fields.FIELDS["orientation"].read(node.value):
        case "landscape":
            return Q(width__gt=F("height"))
        case "portrait":
            return Q(width__lt=F("height"))
        case _:
            return Q(width=F("height"))


def _taken(node: Field, _asked: Asked) -> Q:
    span = fields.FIELDS["taken"].read(node.value)
    return Q(taken_at__isnull=True) if span is None else span_condition("taken_at", span)


def _uploaded(node: Field, _asked: Asked) -> Q:
    return span_condition("created_at", fields.FIELDS["uploaded"].read(node.value))


def _camera(node: Field, _asked: Asked) -> Q:
    return _text("camera", node.value, otherwise="icontains")


def _licence(node: Field, _asked: Asked) -> Q:
    return _text("licence", node.value, otherwise="iexact")


def _text(column: str, value: str, *, otherwise: str) -> Q:
    """``none``, ``=exactly this``, ``begins so*``, or else by that lookup."""
    if value.casefold() == fields.NONE:
        return Q(**{column: ""})
    if value.startswith("="):
        return Q(**{column: value[1:].strip()})
    if value.endswith("*"):
        return Q(**{f"{column}__istartswith": value.rstrip("*")})
    return Q(**{f"{column}__{otherwise}": value})


def _color(node: Field, _asked: Asked) -> Q:
    return Q(colours__contains=[fields.FIELDS["color"].read(node.value)])


def _owner(node: Field, asked: Asked) -> Q:
    if node.value.casefold() == "me":
        return Q(uploaded_by=_somebody(node, asked).pk)
    if node.value.casefold() == fields.NONE:
        return Q(uploaded_by__isnull=True)
    # Nobody is told whether there is somebody of that name.
    people = User.objects.order_by("pk").values_list("pk", flat=True)
    found = list(people.filter(username=node.value)) or list(people.filter(username__iexact=node.value))
    return Q(uploaded_by__in=found)


def _state(node: Field, _asked: Asked) -> Q:
    match fields.FIELDS["state"].read(node.value):
        case "untagged":
            return Q(tag_ids=[])
        case "needs-review":
            suggested = Claim.objects.filter(asset=OuterRef("pk"), state=Claim.State.SUGGESTED)
            return Q(Exists(suggested))
        case state:
            return Q(state=state)


def _rights(node: Field, _asked: Asked) -> Q:
    today = timezone.now().date()
    match fields.FIELDS["rights"].read(node.value):
        case "usable":
            return usable_condition(today)
        case "expired":
            return Q(expires_on__lt=today)
        case "embargoed":
            return Q(embargo_until__gt=today)
        case _:
            return Q(expires_on__gte=today, expires_on__lte=today + EXPIRING_WITHIN)


def _release(node: Field, _asked: Asked) -> Q:
    word = fields.FIELDS["release"].read(node.value)
    return Q(release_status="" if word == "unknown" else word)


def _similar(node: Field, asked: Asked) -> Q:
    user = _somebody(node, asked)
    asset_id = fields.FIELDS["similar"].read(node.value)
    asked.ranked = tuple(similar_ids(user=user, asset_id=asset_id, limit=_MOST_SIMILAR))
    if not asked.ranked:
        seen = assets_visible_to(user).filter(pk=asset_id).exists()
        asked.notices.append(
            f"Nothing is known yet of what picture {asset_id} looks like."
            if seen
            else f"There is no picture {asset_id}."
        )
    return Q(pk__in=asked.ranked)


def _somebody(node: Field, asked: Asked) -> Person:
    if asked.user is None:
        raise SearchError(f"“{node.name}:{node.value}” needs somebody who asks.", node.column)
    return asked.user


_MEANINGS: Mapping[str, Callable[[Field, Asked], Q]] = {
    "tag": _tag,
    "collection": _collection,
    "album": _album,
    "type": _type,
    "width": _number,
    "height": _number,
    "size": _number,
    "orientation": _orientation,
    "taken": _taken,
    "uploaded": _uploaded,
    "camera": _camera,
    "color": _color,
    "score": _score,
    "state": _state,
    "owner": _owner,
    "licence": _licence,
    "rights": _rights,
    "release": _release,
    "similar": _similar,
}
