"""Collections, grants, albums, saved searches, shares, trash and duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from vitrine_client.assets import AssetOrId, etag_of, id_of, json_values, selection
from vitrine_client.reading import read
from vitrine_client.records import (
    Album,
    Asset,
    BulkResult,
    Collection,
    DuplicatePair,
    Grant,
    SavedSearch,
    Share,
)
from vitrine_client.transport import Transport, json_of


class _Part:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport


class Collections(_Part):
    """The tree that you see."""

    def list(self, *, counts: bool = True) -> Iterator[Collection]:
        """All of it, each before those below it."""
        return self._transport.each(Collection, "collections/", counts=str(counts).lower())

    def get(self, collection: Collection | int) -> Collection:
        """One, with its ``etag``."""
        return self._transport.get(Collection, f"collections/{_id(collection)}/")

    def create(self, name: str, *, parent: Collection | int | None = None, **facts: Any) -> Collection:
        """A new one below ``parent``, or below the root; with ``description`` and ``default_licence``."""
        body = {"name": name, **facts, **({} if parent is None else {"parent": _id(parent)})}
        return self._transport.change(Collection, "POST", "collections/", json=body)

    def edit(self, collection: Collection | int, **changes: Any) -> Collection:
        """Change name, description, default_licence or cover (id of an asset, or None)."""
        path = f"collections/{_id(collection)}/"
        return self._transport.change(Collection, "PATCH", path, json=changes, etag=etag_of(collection))

    def move(self, collection: Collection | int, parent: Collection | int) -> Collection:
        """Put it, with all below it, below another."""
        path, body = f"collections/{_id(collection)}/move/", {"parent": _id(parent)}
        return self._transport.change(Collection, "POST", path, json=body, etag=etag_of(collection))

    def delete(self, collection: Collection | int) -> None:
        """Delete an empty one."""
        self._transport.send("DELETE", f"collections/{_id(collection)}/", etag=etag_of(collection))

    def grants(self, collection: Collection | int) -> tuple[Grant, ...]:
        """Who may do what there; for its managers."""
        body = json_of(self._transport.send("GET", f"collections/{_id(collection)}/grants/"))
        return tuple(read(Grant, one) for one in body["results"])

    def grant(
        self,
        collection: Collection | int,
        level: str,
        *,
        user: str | None = None,
        group: str | None = None,
        force: bool = False,
    ) -> Grant:
        """Give a right to a user, to a group, or, with neither, to everybody.

        Levels: ``view``, ``download``, ``contribute``, ``curate``, ``manage``.
        """
        body: dict[str, Any] = {"level": level, "force": force}
        body |= {key: name for key, name in (("user", user), ("group", group)) if name is not None}
        return self._transport.change(Grant, "PUT", f"collections/{_id(collection)}/grants/", json=body)

    def revoke(self, collection: Collection | int, grant: Grant | int, *, force: bool = False) -> None:
        """Take a right away."""
        path = f"collections/{_id(collection)}/grants/{_id(grant)}/"
        self._transport.send("DELETE", path, params={"force": "true" if force else None})


class Albums(_Part):
    """Your own, and those with a picture that you may see."""

    def list(self) -> Iterator[Album]:
        """All, by name."""
        return self._transport.each(Album, "albums/")

    def get(self, album: Album | int) -> Album:
        """One, with its ``etag``."""
        return self._transport.get(Album, f"albums/{_id(album)}/")

    def create(self, name: str, *, description: str = "", assets: Iterable[AssetOrId] = ()) -> Album:
        """A new one."""
        body = {"name": name, "description": description, "assets": [id_of(one) for one in assets]}
        return self._transport.change(Album, "POST", "albums/", json=body)

    def edit(self, album: Album | int, **changes: Any) -> Album:
        """Change name, description or cover (id of an asset in it, or None)."""
        path = f"albums/{_id(album)}/"
        return self._transport.change(Album, "PATCH", path, json=changes, etag=etag_of(album))

    def delete(self, album: Album | int) -> None:
        """Delete it; its pictures stay."""
        self._transport.send("DELETE", f"albums/{_id(album)}/", etag=etag_of(album))

    def assets(self, album: Album | int) -> Iterator[Asset]:
        """What is in it and you may see, in the order in which it was added."""
        return self._transport.each(Asset, f"albums/{_id(album)}/assets/")

    def add(self, album: Album | int, assets: Iterable[AssetOrId]) -> int:
        """Put pictures into it; how many were new there."""
        body = {"ids": [id_of(one) for one in assets]}
        answer = self._transport.send("POST", f"albums/{_id(album)}/assets/", json=body)
        return int(json_of(answer)["changed"])

    def remove(self, album: Album | int, asset: AssetOrId) -> None:
        """Take a picture out of it."""
        self._transport.send("DELETE", f"albums/{_id(album)}/assets/{id_of(asset)}/")


class Searches(_Part):
    """Searches under names: your own, and those that others share."""

    def list(self) -> Iterator[SavedSearch]:
        """All, by name."""
        return self._transport.each(SavedSearch, "searches/")

    def get(self, search: SavedSearch | int) -> SavedSearch:
        """One, with its ``etag``."""
        return self._transport.get(SavedSearch, f"searches/{_id(search)}/")

    def save(self, name: str, query: str, *, sort: str = "newest", shared: bool = False) -> SavedSearch:
        """Keep a search; your own of that name is replaced."""
        body = {"name": name, "query": query, "sort": sort, "shared": shared}
        return self._transport.change(SavedSearch, "POST", "searches/", json=body)

    def edit(self, search: SavedSearch | int, **changes: Any) -> SavedSearch:
        """Change name, query, sort or shared."""
        path = f"searches/{_id(search)}/"
        return self._transport.change(SavedSearch, "PATCH", path, json=changes, etag=etag_of(search))

    def delete(self, search: SavedSearch | int) -> None:
        """Forget it."""
        self._transport.send("DELETE", f"searches/{_id(search)}/", etag=etag_of(search))


class Shares(_Part):
    """Links for people without an account."""

    def list(self) -> Iterator[Share]:
        """Yours, and those to collections that you manage, ended ones too; the newest first."""
        return self._transport.each(Share, "shares/")

    def get(self, share: Share | int) -> Share:
        """One, with its ``etag``."""
        return self._transport.get(Share, f"shares/{_id(share)}/")

    def create(
        self,
        *,
        assets: Iterable[AssetOrId] = (),
        query: str | None = None,
        collection: Collection | int | None = None,
        album: Album | int | None = None,
        expires_at: datetime | None = None,
        **facts: Any,
    ) -> Share:
        """A link to pictures, to what a query finds now, to a collection, or to an album.

        Further facts: ``title``, ``message``, ``password``, ``may_download``, ``fields``.
        """
        body: dict[str, Any] = json_values({**facts, "expires_at": expires_at})
        if collection is not None:
            body["collection"] = _id(collection)
        elif album is not None:
            body["album"] = _id(album)
        else:
            body["selection"] = selection(assets, query, ())
        return self._transport.change(Share, "POST", "shares/", json=body)

    def edit(self, share: Share | int, **changes: Any) -> Share:
        """Change title, message, password, may_download, fields or expires_at."""
        path = f"shares/{_id(share)}/"
        return self._transport.change(Share, "PATCH", path, json=json_values(changes), etag=etag_of(share))

    def revoke(self, share: Share | int) -> None:
        """It opens nothing any more."""
        self._transport.send("DELETE", f"shares/{_id(share)}/")


class Trash(_Part):
    """What you may bring back."""

    def list(self) -> Iterator[Asset]:
        """The latest first."""
        return self._transport.each(Asset, "trash/")

    def restore(self, assets: Iterable[AssetOrId]) -> BulkResult:
        """To where they lay."""
        body = {"ids": [id_of(one) for one in assets]}
        return self._transport.change(BulkResult, "POST", "trash/restore/", json=body)

    def purge(self, assets: Iterable[AssetOrId]) -> BulkResult:
        """For ever."""
        body = {"ids": [id_of(one) for one in assets]}
        return self._transport.change(BulkResult, "POST", "trash/purge/", json=body)


class Duplicates(_Part):
    """Pairs of assets that look the same."""

    def list(self) -> Iterator[DuplicatePair]:
        """Open ones, the latest found first."""
        return self._transport.each(DuplicatePair, "duplicates/")

    def keep(self, pair: DuplicatePair | int, asset: AssetOrId) -> Asset:
        """Keep this one, give it what only the other had, and trash the other."""
        path, body = f"duplicates/{_id(pair)}/keep/", {"keep": id_of(asset)}
        return self._transport.change(Asset, "POST", path, json=body)

    def dismiss(self, pair: DuplicatePair | int) -> None:
        """Say that they are two pictures."""
        self._transport.send("POST", f"duplicates/{_id(pair)}/dismiss/")


def _id(thing: Any) -> int:
    return thing if isinstance(thing, int) else int(thing.id)
