"""The dialogs in which people say what to do with the pictures that they selected.

The acts themselves go to the REST API, as of every other program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dam.assets.albums import albums_visible_to
from dam.assets.models import Asset, Level
from dam.assets.rights import LICENCES
from dam.assets.selectors import collection_ids, collections_with
from dam.library.policy import member, member_page


def _move(user: User) -> dict[str, Any]:
    """Where the person may put pictures, as a tree: the depth counts from the highest one that they see."""
    found = list(collections_with(user, Level.CONTRIBUTE))
    paths: list[str] = []
    entries = []
    for collection in found:
        while paths and not collection.path.startswith(paths[-1]):
            paths.pop()
        entries.append({"collection": collection, "indent": "\u2003" * len(paths)})
        paths.append(collection.path)
    return {"entries": entries}


def _album(user: User) -> dict[str, Any]:
    own = albums_visible_to(user)
    return {"albums": own if user.is_superuser else own.filter(owner=user)}


def _rights(_user: User) -> dict[str, Any]:
    return {"licences": LICENCES, "releases": Asset.Release.choices}


def _tag(_user: User) -> dict[str, Any]:
    return {}


def _trash(user: User) -> dict[str, Any]:
    return {"curates": collection_ids(user, Level.CURATE) != []}


_DIALOGS: dict[str, Callable[[User], dict[str, Any]]] = {
    "move": _move,
    "album": _album,
    "rights": _rights,
    "tag": _tag,
    "trash": _trash,
}


@require_safe
@member_page
def dialog(request: HttpRequest, kind: str) -> HttpResponse:
    """The inside of a dialog: where to move to, which album, which tag, which rights, whether to trash."""
    if kind not in _DIALOGS:
        raise Http404
    return render(request, f"library/parts/selection_{kind}.html", _DIALOGS[kind](member(request)))
