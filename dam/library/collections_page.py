"""The tree of collections, and the page of one."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from dam.assets.collections import (
    collection_create,
    collection_delete,
    collection_move,
    collection_update,
)
from dam.assets.errors import InvalidChangeError
from dam.assets.grants import grants_of
from dam.assets.models import Collection, Level
from dam.assets.rights import LICENCES
from dam.assets.selectors import assets_visible_to, collections_with, level_in
from dam.assets.tree import (
    collection_covers,
    collection_get,
    collection_path,
    collection_tree,
    collections_below,
    tree_flat,
)
from dam.library.acting import Done, act, posted_id, posted_text
from dam.library.chips import search_address
from dam.library.collections_page_grants import subjects
from dam.library.policy import member, member_page
from dam.search.selectors import loaded

NEWEST = 24
"""So many of its pictures the page of a collection shows; the library shows all."""
UNFOLDED = 60
"""A tree of more collections shows those below the second level when asked."""


@require_safe
@member_page
def collections(request: HttpRequest) -> HttpResponse:
    """The tree, as far as one may see it."""
    user = member(request)
    roots = collection_tree(user=user)
    nodes = tree_flat(roots)
    context = {
        "section": "collections",
        "roots": roots,
        "covers": collection_covers(user=user, collections=[node.collection for node in nodes]),
        "folded_from": 1 if len(nodes) > UNFOLDED else 99,
        "may_create": any(node.level >= Level.CURATE for node in nodes),
        "licences": LICENCES,
    }
    return render(request, "library/collections.html", context)


@require_safe
@member_page
def collection(request: HttpRequest, collection_id: int) -> HttpResponse:
    """One collection: what lies in it, and who may do what there."""
    user = member(request)
    found = _collection(request, collection_id)
    level = level_in(user, found.pk)
    visible = assets_visible_to(user).filter(collection__in=collections_below(found))
    node = next(each for each in tree_flat(collection_tree(user=user)) if each.collection.pk == found.pk)
    below = [child.collection for child in node.children]
    address = search_address(query=f"collection:{found.pk}")
    managed = level is not None and level >= Level.MANAGE
    context = {
        "section": "collections",
        "collection": found,
        "level": level,
        "path": collection_path(user=user, collection=found)[:-1],
        "node": node,
        "covers": collection_covers(user=user, collections=[found, *below]),
        "cards": loaded(visible).order_by("-pk")[:NEWEST],
        "context": address,
        "all_of_it": f"collection:{found.pk}",
        "grants": grants_of(user=user, collection=found) if managed else (),
        "subjects": subjects() if managed else {},
        "levels": Level.choices,
        "licences": LICENCES,
        "upload_into": found if level is not None and level >= Level.CONTRIBUTE else None,
    }
    return render(request, "library/collection.html", context)


@require_safe
@member_page
def choices(request: HttpRequest) -> HttpResponse:
    """Collections to choose from, as options of a menu: those in which one has the right ``level``."""
    level = request.GET.get("level", "VIEW").upper()
    if level not in Level.names:
        raise Http404
    user = member(request)
    allowed = set(collections_with(user, Level[level]).values_list("pk", flat=True))
    nodes = tree_flat(collection_tree(user=user, counts=False))
    return render(request, "library/parts/collection_options.html", {"nodes": nodes, "allowed": allowed})


@act
def create(request: HttpRequest) -> Done:
    """A new collection below ``parent``."""
    parent_id = posted_id(request, "parent")
    if parent_id is None:
        raise InvalidChangeError("Choose where it lies.", field="parent")
    made = collection_create(
        parent=_collection(request, parent_id),
        name=posted_text(request, "name"),
        description=posted_text(request, "description"),
        default_licence=posted_text(request, "default_licence"),
        user=member(request),
    )
    return Done(said=f"“{made}” was made.", go=reverse("collection", args=[made.pk]))


@act
def edit(request: HttpRequest, collection_id: int) -> Done:
    """Name, description and default licence; a form names those that it holds."""
    fields = ("name", "description", "default_licence")
    changes = {name: posted_text(request, name) for name in fields if name in request.POST}
    collection_update(collection=_collection(request, collection_id), user=member(request), **changes)
    return Done(said="Saved.")


@act
def move(request: HttpRequest, collection_id: int) -> Done:
    """Put it, with all below it, below another."""
    parent_id = posted_id(request, "parent")
    if parent_id is None:
        raise InvalidChangeError("Choose where it goes.", field="parent")
    moved, target = _collection(request, collection_id), _collection(request, parent_id)
    collection_move(collection=moved, parent=target, user=member(request))
    return Done(said=f"“{moved}” lies in “{target}” now.")


@act
def delete(request: HttpRequest, collection_id: int) -> Done:
    """Delete it, if nothing lies in it."""
    found = _collection(request, collection_id)
    collection_delete(collection=found, user=member(request))
    return Done(said=f"“{found}” was deleted.", go=reverse("collections"))


@act
def cover(request: HttpRequest, collection_id: int) -> Done:
    """The picture ``asset`` stands for it; without one, its newest does."""
    found = _collection(request, collection_id)
    collection_update(collection=found, user=member(request), cover_id=posted_id(request, "asset"))
    return Done(said=f"The cover of “{found}” is changed.")


def _collection(request: HttpRequest, collection_id: int) -> Collection:
    try:
        return collection_get(user=member(request), collection_id=collection_id)
    except Collection.DoesNotExist:
        raise Http404 from None
