"""Every write of the tree of collections. One change at a time: each holds the lock of the tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction

from dam.assets.editing_checks import clean_name, clean_text
from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.assets.models import Asset, Collection, Level
from dam.assets.selectors import assets_visible_to, level_in
from dam.assets.services import root_collection
from dam.audit.services import Target, audit_record

DEEPEST = 30
"""Levels of the tree, the root's included; the path of more would not fit."""
_LONGEST_DESCRIPTION = 10_000


def collection_create(
    *,
    name: str,
    user: User,
    parent: Collection | None = None,
    description: str = "",
    default_licence: str = "",
) -> Collection:
    """Make a collection below another, or, without one, below the root. It has the grants of its parent.

    Raises:
        NotAllowedError: the person does not curate the parent.
        InvalidChangeError: the name is taken there, or one of the texts is not right.
    """
    parent = parent or root_collection()
    facts = {
        "name": _name(name),
        "description": _description(description),
        "default_licence": _licence(default_licence),
    }
    with tree_hold():
        above = _fresh(parent)
        level_required(user, above, Level.CURATE, "make a collection")
        if above.depth >= DEEPEST:
            raise InvalidChangeError(f"Collections lie at most {DEEPEST} levels deep.", field="parent")
        _free_required(facts["name"], above)
        made: Collection = Collection.objects.add_child(above, create_kwargs=facts)
        changes = {field: ["", value] for field, value in facts.items() if value}
        _told(user, "collection.create", made, {"parent": [None, above.pk], **changes})
    return made


def collection_update(*, collection: Collection, user: User, **changes: Any) -> Collection:
    """Change ``name``, ``description``, ``default_licence`` or ``cover_id`` (None: none is chosen).

    Raises:
        NotAllowedError: the person does not curate it.
        InvalidChangeError: a value is not right, the name is taken, or the root would be renamed.
    """
    unknown = changes.keys() - _CLEAN.keys()
    if unknown:
        raise InvalidChangeError(
            f"A collection has no “{min(unknown)}”.", field=min(unknown), code="unknown-field"
        )
    with tree_hold():
        held = _fresh(collection)
        level_required(user, held, Level.CURATE, "change it")
        wanted = {field: _CLEAN[field](value) for field, value in changes.items()}
        if wanted.get("cover_id") is not None:
            _cover_required(user, wanted["cover_id"], held)
        differing = {
            field: [getattr(held, field), value]
            for field, value in wanted.items()
            if getattr(held, field) != value
        }
        if not differing:
            return held
        for field, (_, value) in differing.items():
            setattr(held, field, value)
        if "name" in differing:
            if held.is_root():
                raise InvalidChangeError("The root of the library keeps its name.", field="name")
            _free_required(held.name, _parent(held), but=held)
        held.save(update_fields=list(differing))
        if "name" in differing:
            # Siblings stand in the order of their names.
            Collection.objects.move(held, _parent(held), "sorted-child")
        held = _fresh(held)
        _told(user, "collection.edit", held, differing)
    return held


def collection_move(*, collection: Collection, parent: Collection, user: User) -> Collection:
    """Put a collection, with all below it, below another: from then on the grants of that one hold.

    Raises:
        NotAllowedError: the person does not manage both.
        InvalidChangeError: it is the root, would lie in itself or too deep, or its name is taken there.
    """
    with tree_hold():
        held, target = _fresh(collection), _fresh(parent)
        level_required(user, held, Level.MANAGE, "move it")
        level_required(user, target, Level.MANAGE, "put a collection there")
        if held.is_root():
            raise InvalidChangeError("The root of the library stays where it is.", code="root")
        if target.path.startswith(held.path):
            raise InvalidChangeError("A collection cannot lie in itself.", field="parent", code="circle")
        before = _parent(held)
        if before.pk == target.pk:
            return held
        deepest = max(Collection.objects.filter(path__startswith=held.path).values_list("depth", flat=True))
        if target.depth + 1 + deepest - held.depth > DEEPEST:
            raise InvalidChangeError(f"Collections lie at most {DEEPEST} levels deep.", field="parent")
        _free_required(held.name, target)
        Collection.objects.move(held, target, "sorted-child")
        held = _fresh(held)
        _told(user, "collection.move", held, {"parent": [before.pk, target.pk]})
    return held


def collection_delete(*, collection: Collection, user: User) -> None:
    """Delete an empty collection, with its grants and the links to it.

    Raises:
        NotAllowedError: the person does not manage it.
        InvalidChangeError: it is the root, or something lies in it, be it in the trash.
    """
    with tree_hold():
        held = _fresh(collection)
        level_required(user, held, Level.MANAGE, "delete it")
        if held.is_root():
            raise InvalidChangeError("The root of the library stays.", code="root")
        if held.numchild:
            raise InvalidChangeError(
                "There are collections below it. Move or delete them first.", code="not-empty"
            )
        pictures = Asset.objects.filter(collection=held)
        if pictures.filter(trashed_at__isnull=True).exists():
            raise InvalidChangeError("There are pictures in it. Move them first.", code="not-empty")
        if pictures.exists():
            raise InvalidChangeError(
                "Pictures of it are in the trash. Restore and move them, or delete them for ever.",
                code="not-empty",
            )
        _told(user, "collection.delete", held, {"parent": [_parent(held).pk, None]})
        held.delete()


# ------------------------------------------------------------------- checks


@contextmanager
def tree_hold() -> Iterator[None]:
    """A transaction that alone changes the tree: paths of neighbours move with a new one."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('tree of collections', 0))")
        yield


def _fresh(collection: Collection) -> Collection:
    """As it is now; its path may have changed since it was read.

    Raises:
        Collection.DoesNotExist: it is gone.
    """
    found: Collection = Collection.objects.select_for_update(no_key=True, of=("self",)).get(pk=collection.pk)
    return found


def _parent(collection: Collection) -> Collection:
    found: Collection = Collection.objects.get_parent(collection)
    return found


def level_required(user: User, collection: Collection, level: Level, act: str) -> None:
    """Make sure of a person's right in a collection.

    Raises:
        Collection.DoesNotExist: they may not know of it.
        NotAllowedError: they may see it, and no more than that or too little.
    """
    held = level_in(user, collection.pk)
    if held is None:
        raise Collection.DoesNotExist
    if held < level:
        who = {Level.CONTRIBUTE: "contributes to", Level.CURATE: "curates", Level.MANAGE: "manages"}
        needed = who.get(level, f"may {level.label} in")
        raise NotAllowedError(f"You may not {act}: only who {needed} “{collection}” may.")


def _free_required(name: str, parent: Collection, *, but: Collection | None = None) -> None:
    siblings = Collection.objects.get_children(parent).filter(name__iexact=name)
    if but is not None:
        siblings = siblings.exclude(pk=but.pk)
    if siblings.exists():
        # Whoever may create here sees all that lies here: nothing is told that is not known.
        raise InvalidChangeError(f"There is a collection “{name}” there already.", field="name", code="taken")


def _cover_required(user: User, cover_id: int, collection: Collection) -> None:
    below = Collection.objects.filter(path__startswith=collection.path)
    if not assets_visible_to(user).filter(pk=cover_id, collection__in=below).exists():
        raise InvalidChangeError("There is no such picture in it.", field="cover_id", code="unknown-asset")


def _name(value: object) -> str:
    name = clean_name(value)
    if "/" in name:
        raise InvalidChangeError(
            "A name has no slash: that stands between a collection and what lies in it.", field="name"
        )
    return name


def _description(value: object) -> str:
    return clean_text(value, field="description", called="The description", longest=_LONGEST_DESCRIPTION)


def _licence(value: object) -> str:
    return clean_text(value, field="default_licence", called="The licence", longest=60)


def _asset_id(value: object) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise InvalidChangeError("The cover is named by the number of a picture.", field="cover_id")
    return value


_CLEAN: dict[str, Any] = {
    "name": _name,
    "description": _description,
    "default_licence": _licence,
    "cover_id": _asset_id,
}


def _told(user: User, action: str, collection: Collection, changes: dict[str, Any]) -> None:
    target = Target("collection", collection.pk, collection.name, collection.pk, changes)
    audit_record(actor=user, action=action, targets=[target])
