"""The tree of collections as a person sees it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Count, Max

from dam.assets.models import Asset, Collection, Level
from dam.assets.selectors import Person, assets_visible_to, collection_ids, collections_with, levels_in

_STEP = Collection.steplen


@dataclass(slots=True)
class TreeNode:
    """A collection in the tree that a person sees.

    One whose parent they may not see is a root of theirs: nothing says that there is more above it.
    """

    collection: Collection
    depth: int
    """0 for what is a root to this person."""
    level: Level
    """The most that they may do there."""
    count: int | None = None
    """Pictures in it, without those below; None: not counted."""
    total: int | None = None
    """Pictures in it and in all that they see below it."""
    children: list[TreeNode] = field(default_factory=list)


def collection_tree(*, user: Person, counts: bool = True) -> list[TreeNode]:
    """The collections that a person may see, as a tree; its roots first, in the order of their names.

    Args:
        user: whose tree.
        counts: count the pictures, too; without, ``count`` and ``total`` stay None.
    """
    collections = list(collections_with(user))
    levels = levels_in(user, [collection.pk for collection in collections])
    numbers = _counts(user) if counts else None
    roots: list[TreeNode] = []
    line: list[TreeNode] = []
    # In the order of paths, so each comes after the collection in which it lies.
    for collection in collections:
        while line and not collection.path.startswith(line[-1].collection.path):
            _close(line)
        node = TreeNode(collection, len(line), levels[collection.pk])
        if numbers is not None:
            node.count = node.total = numbers.get(collection.pk, 0)
        (line[-1].children if line else roots).append(node)
        line.append(node)
    while line:
        _close(line)
    roots.sort(key=lambda node: node.collection.name.casefold())
    return roots


def _close(line: list[TreeNode]) -> None:
    """Leave the last of a line from the root: all below it is known now."""
    done = line.pop()
    if line and line[-1].total is not None and done.total is not None:
        line[-1].total += done.total


def _counts(user: Person) -> dict[int, int]:
    rows = assets_visible_to(user).order_by().values_list("collection").annotate(number=Count("pk"))
    return dict(rows)


def tree_flat(nodes: Iterable[TreeNode]) -> list[TreeNode]:
    """All nodes of a tree, each before those below it, as a menu lists them."""
    flat: list[TreeNode] = []
    for node in nodes:
        flat.append(node)
        flat.extend(tree_flat(node.children))
    return flat


def collection_get(*, user: Person, collection_id: int) -> Collection:
    """One collection.

    Raises:
        Collection.DoesNotExist: there is none, or the person may not see it.
    """
    return collections_with(user).get(pk=collection_id)


def collection_named(*, user: Person, text: str) -> Collection:
    """The collection that a text means: the path of names from what the person sees as a root, or an id.

    The root of the library may be left out: ``Press/2024`` is ``Library/Press/2024``. Case does not matter.

    Raises:
        Collection.DoesNotExist: there is none, the person may not see it, or it could be several.
    """
    names = [name.strip().casefold() for name in text.strip().strip("/").split("/")]
    roots = collection_tree(user=user, counts=False)
    found = [*_named(roots, names), *_named([node for root in roots for node in root.children], names)]
    if len(found) == 1:
        return found[0].collection
    if not found and text.strip().isdecimal():
        return collection_get(user=user, collection_id=int(text))
    raise Collection.DoesNotExist


def _named(nodes: Iterable[TreeNode], names: list[str]) -> list[TreeNode]:
    here = [node for node in nodes if node.collection.name.casefold() == names[0]]
    if len(names) == 1:
        return here
    return [found for node in here for found in _named(node.children, names[1:])]


def collection_path(*, user: Person, collection: Collection) -> list[Collection]:
    """The way from what a person sees as its root down to a collection, which is the last."""
    path: str = collection.path
    above = [path[:end] for end in range(_STEP, len(path) + 1, _STEP)]
    return list(collections_with(user).filter(path__in=above))


def collections_below(collection: Collection) -> list[int]:
    """Ids of a collection and of all below it."""
    below = Collection.objects.filter(path__startswith=collection.path)
    return list(below.values_list("pk", flat=True))


def collection_cover(*, user: Person, collection: Collection) -> Asset | None:
    """The picture that stands for a collection, with its file; see :func:`collection_covers`."""
    return collection_covers(user=user, collections=[collection]).get(collection.pk)


def collection_covers(*, user: Person, collections: Iterable[Collection]) -> dict[int, Asset]:
    """Collection id → the picture that stands for it, with its file.

    The one that was chosen, if this person may see it; else the newest there. Those without any are left
    out.
    """
    collections = list(collections)
    chosen = {each.cover_id for each in collections if each.cover_id is not None}
    visible = set(assets_visible_to(user).filter(pk__in=chosen).values_list("pk", flat=True))
    wanted = {each.pk: each.cover_id for each in collections if each.cover_id in visible}
    others = [each.pk for each in collections if each.pk not in wanted]
    if others:
        here = assets_visible_to(user).filter(collection__in=others).order_by()
        wanted.update(here.values_list("collection").annotate(newest=Max("pk")))
    assets = Asset.objects.select_related("current_version__blob").defer("words")
    found = assets.in_bulk(set(wanted.values()))
    return {pk: found[asset_id] for pk, asset_id in wanted.items() if asset_id in found}


def collections_to_upload(*, user: Person) -> list[Collection]:
    """Where a person may put pictures, in the order of the tree."""
    return list(collections_with(user, Level.CONTRIBUTE))


def curates_anywhere(user: Person) -> bool:
    """Whether there is a collection whose pictures a person may change: who is told of rights and trash."""
    ids = collection_ids(user, Level.CURATE)
    return ids is None or bool(ids)
