"""What was done, in a sentence: “Anna moved “Dog on a beach” to the trash”."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import formats

from dam.assets.albums import albums_visible_to
from dam.assets.models import Level
from dam.assets.selectors import assets_visible_to, collections_with
from dam.audit.models import AuditEntry
from dam.library.facts import moment

DID: Mapping[str, str] = {
    "asset.create": "uploaded",
    "asset.edit": "edited",
    "asset.move": "moved to another collection:",
    "asset.trash": "moved to the trash:",
    "asset.restore": "restored from the trash:",
    "asset.purge": "deleted for ever:",
    "asset.replace": "replaced the file of",
    "asset.revert": "brought back an earlier file of",
    "asset.keep": "kept, of two that looked the same,",
    "asset.not-duplicate": "told apart from one that looks the same:",
    "asset.maybe-duplicate": "took back that it is another picture:",
    "collection.create": "made the collection",
    "collection.edit": "edited the collection",
    "collection.move": "moved the collection",
    "collection.delete": "deleted the collection",
    "grant.set": "gave a right to",
    "grant.remove": "took a right from",
    "album.create": "made the album",
    "album.edit": "edited the album",
    "album.delete": "deleted the album",
    "album.add": "added to the album",
    "album.remove": "removed from the album",
    "share.create": "made the link",
    "share.edit": "changed the link",
    "share.revoke": "revoked the link",
    "share.wrong-password": "gave a wrong password for the link",
    "search.save": "saved the search",
    "search.edit": "changed the search",
    "search.delete": "deleted the search",
    "tag.accept": "accepted a tag of",
    "tag.accepted": "accepted a tag of",
    "tag.reject": "rejected a tag of",
    "tag.rejected": "rejected a tag of",
    "tag.add": "added a tag to",
    "tag.added": "added a tag to",
    "tag.withdraw": "took back what was said of a tag of",
    "tag.create": "made the tag",
    "tag.edit": "edited the tag",
}
KINDS: Mapping[str, str] = {
    "asset": "Pictures",
    "collection": "Collections",
    "grant": "Grants",
    "album": "Albums",
    "tag": "Tags",
    "share": "Shares",
    "search": "Searches",
}
_FIELDS: Mapping[str, str] = {
    "copyright_holder": "copyright holder",
    "credit": "credit line",
    "release_status": "release",
    "expires_on": "last day",
    "embargo_until": "first day",
    "default_licence": "licence of what is uploaded",
    "filename": "file name",
    "may_download": "download",
    "expires_at": "end",
    "cover_id": "cover",
}
# Ids say nothing to people, and what they stand for may not be theirs to know.
_UNSAID = frozenset(
    {"tag", "parent", "collection", "album", "cover_id", "user", "group", "to", "other", "of", "cover"}
)
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Line:
    """One act as people read it."""

    entry: AuditEntry
    who: str
    did: str
    name: str
    address: str
    """Of the page of what was acted upon, if there is one and this person may see it."""
    details: list[str]


def lines_of(entries: list[AuditEntry], *, user: User) -> list[Line]:
    """The acts in words, in the same order, in a fixed number of queries."""
    seen = {
        "asset": (
            "asset",
            set(assets_visible_to(user).filter(pk__in=_ids(entries, "asset")).values_list("pk", flat=True)),
        ),
        "album": (
            "album",
            set(albums_visible_to(user).filter(pk__in=_ids(entries, "album")).values_list("pk", flat=True)),
        ),
        "collection": (
            "collection",
            set(
                collections_with(user).filter(pk__in=_ids(entries, "collection")).values_list("pk", flat=True)
            ),
        ),
    }
    lines = []
    for entry in entries:
        page, ids = seen.get(entry.object_type, ("", set()))
        lines.append(
            Line(
                entry=entry,
                who=_who(entry),
                did=DID.get(entry.action, entry.action.replace(".", ": ").replace("-", " ")),
                name=entry.object_name or f"number {entry.object_id}",
                address=reverse(page, args=[entry.object_id]) if entry.object_id in ids else "",
                details=_details(entry),
            )
        )
    return lines


def _ids(entries: list[AuditEntry], kind: str) -> set[int]:
    return {entry.object_id for entry in entries if entry.object_type == kind}


def _who(entry: AuditEntry) -> str:
    if entry.actor is not None:
        return entry.actor.get_full_name() or entry.actor.get_username()
    return entry.actor_name or ("somebody with the link" if entry.object_type == "share" else "the server")


def _details(entry: AuditEntry) -> list[str]:
    if entry.action.startswith("tag.") and entry.object_type == "asset":
        return [str(entry.changes.get("name", ""))]
    return [said for field, change in entry.changes.items() if (said := _detail(field, change))]


def _detail(field: str, change: Any) -> str:
    if field in _UNSAID:
        return ""
    called = _FIELDS.get(field, field.replace("_", " "))
    if field == "assets" and isinstance(change, list):
        return f"{len(change):,} picture{'' if len(change) == 1 else 's'}"
    if isinstance(change, list) and len(change) == 2:
        before, after = (_value(field, value) for value in change)
        return f"{called}: {before} → {after}"
    return f"{called}: {_value(field, change)}"


def _day(text: str) -> str:
    return str(formats.date_format(date.fromisoformat(text), "j F Y"))


def _moment(text: str) -> str:
    return moment(datetime.fromisoformat(text))


_TIMES: Mapping[str, Callable[[str], str]] = {
    "expires_on": _day,
    "embargo_until": _day,
    "expires_at": _moment,
}


def _value(field: str, value: Any) -> str:
    if value in (None, "", []):
        return "nothing"
    if field == "level" and value in Level.values:
        return str(Level(value).label)
    if field in _TIMES:
        return _TIMES[field](value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"“{text[:_LONGEST]}…”" if len(text) > _LONGEST else f"“{text}”"
