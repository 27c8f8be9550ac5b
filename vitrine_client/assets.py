"""Assets: finding, uploading, editing, tagging, fetching."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from requests import Response

from vitrine_client.errors import NotTaggedInTimeError, UnexpectedAnswerError
from vitrine_client.reading import read
from vitrine_client.records import (
    Asset,
    AssetPage,
    BulkResult,
    Facets,
    FileVersion,
    HistoryEntry,
    SimilarAsset,
    Upload,
)
from vitrine_client.transport import Transport, json_of

AssetOrId: TypeAlias = Asset | int
File: TypeAlias = str | os.PathLike[str] | BinaryIO

_LOOK_EVERY_S = 0.5
_LONGEST_WAIT_S = 30.0


def id_of(asset: AssetOrId) -> int:
    """The id of an asset."""
    return asset.id if isinstance(asset, Asset) else asset


def etag_of(thing: Any) -> str:
    """As what it was read; empty for an id, and for what came in a list."""
    return getattr(thing, "etag", "")


def json_values(changes: dict[str, Any]) -> dict[str, Any]:
    """The same for JSON: dates as text."""
    return {key: one.isoformat() if isinstance(one, date) else one for key, one in changes.items()}


class Assets:
    """The pictures that you may see."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    # ------------------------------------------------------------- finding

    def search(self, query: str = "", *, sort: str = "newest", page_size: int = 100) -> Iterator[Asset]:
        """All that a query finds, fetched page by page as it is needed.

        Raises:
            InvalidError: the query cannot be read; ``column`` says where.
        """
        return self._transport.each(Asset, "assets/", q=query, sort=sort, limit=page_size)

    def page(
        self, query: str = "", *, sort: str = "newest", cursor: str | None = None, limit: int = 60
    ) -> AssetPage:
        """One page of what a query finds, with the notices for people."""
        return self._transport.get(AssetPage, "assets/", q=query, sort=sort, cursor=cursor, limit=limit)

    def facets(self, query: str = "") -> Facets:
        """What the assets of a search have, counted."""
        return self._transport.get(Facets, "assets/facets/", q=query)

    def get(self, asset: AssetOrId) -> Asset:
        """An asset as it is now, with its ``etag``."""
        return self._transport.get(Asset, f"assets/{id_of(asset)}/")

    def similar(self, asset: AssetOrId, *, limit: int = 24) -> tuple[SimilarAsset, ...]:
        """What looks like an asset, the most similar first."""
        body = json_of(
            self._transport.send("GET", f"assets/{id_of(asset)}/similar/", params={"limit": limit})
        )
        return tuple(read(SimilarAsset, one) for one in body["results"])

    def similar_to(self, file: File, *, limit: int = 60, timeout: float = 60) -> tuple[SimilarAsset, ...]:
        """What looks like a picture that does not become an asset.

        Raises:
            RefusedPictureError: it is none that can be looked at.
            NotTaggedInTimeError: no worker looked at it so soon.
        """
        deadline = time.monotonic() + timeout
        wait = min(timeout, _LONGEST_WAIT_S)
        answer = self._send_file("similar/", file, None, {"limit": limit, "wait": wait})
        while answer.status_code == 202:
            if time.monotonic() >= deadline:
                raise NotTaggedInTimeError("No worker has looked at the picture yet.")
            time.sleep(_LOOK_EVERY_S)
            answer = self._transport.send("GET", answer.headers["Location"], params={"limit": limit})
        return tuple(read(SimilarAsset, one) for one in json_of(answer)["results"])

    # ------------------------------------------------------------- writing

    def upload(
        self,
        file: File,
        *,
        filename: str | None = None,
        collection: int | None = None,
        bulk: bool = False,
    ) -> Upload:
        """Catalogue a picture.

        Args:
            file: a path, or a file opened for reading bytes.
            filename: what to call it; None: as the file is called.
            collection: where to; None: the root.
            bulk: nobody waits for its tags: people go first.

        Raises:
            RefusedPictureError: it is no picture that is taken.
        """
        fields = {"bulk": "true" if bulk else "false", "collection": collection}
        answer = self._send_file("assets/", file, filename, fields)
        return Upload(_with_etag(answer), created=answer.status_code == 201)

    def edit(self, asset: AssetOrId, **changes: Any) -> Asset:
        """Change what is named, and leave the rest.

        ``title``, ``description``, ``licence``, ``copyright_holder``, ``credit``, ``release_status``,
        ``expires_on`` and ``embargo_until`` (a date or None), ``collection`` (its id). An asset that was read
        by itself is changed only if nobody has edited it since.

        Raises:
            ChangedMeanwhileError: somebody has.
            NotAllowedError: you may see it, and not edit it.
        """
        path, etag = f"assets/{id_of(asset)}/", etag_of(asset)
        answer = self._transport.send("PATCH", path, json=json_values(changes), etag=etag)
        if answer.status_code == 204:
            raise UnexpectedAnswerError("It was moved, to where you do not see it.")
        return _with_etag(answer)

    def trash(self, asset: AssetOrId) -> None:
        """Put it into the trash."""
        self._transport.send("DELETE", f"assets/{id_of(asset)}/", etag=etag_of(asset))

    def decide(self, asset: AssetOrId, tag: str, verdict: str = "added") -> Asset:
        """Say of a tag that it is ``added``, ``accepted`` or ``rejected``."""
        path, said = f"assets/{id_of(asset)}/decisions/", {"tag": tag, "verdict": verdict}
        return self._transport.change(Asset, "POST", path, json=said)

    def undecide(self, asset: AssetOrId, slug: str) -> Asset:
        """Take back what was said of a tag."""
        return self._transport.change(Asset, "DELETE", f"assets/{id_of(asset)}/decisions/{slug}/")

    def bulk(
        self,
        action: str,
        *,
        assets: Iterable[AssetOrId] = (),
        query: str | None = None,
        excluded: Iterable[AssetOrId] = (),
        **arguments: Any,
    ) -> BulkResult:
        """Do the same to many: to these ``assets``, or to all that ``query`` finds but for ``excluded``.

        Actions: ``tag``, ``untag`` and ``undecide`` (``tag=``), ``edit`` (``fields=``), ``move``
        (``collection=``), ``album-add`` and ``album-remove`` (``album=``), ``trash``, ``restore``, ``purge``.
        """
        body = {"action": action, "selection": selection(assets, query, excluded), **arguments}
        if "fields" in body:
            body["fields"] = json_values(body["fields"])
        return self._transport.change(BulkResult, "POST", "assets/bulk/", json=body)

    def wait_for_tags(self, asset: AssetOrId, *, timeout: float = 60) -> Asset:
        """Wait until a worker has answered; the asset is then ``tagged`` or ``failed``.

        Raises:
            NotTaggedInTimeError: it is still waiting.
        """
        deadline = time.monotonic() + timeout
        while (found := self.get(asset)).state == "pending":
            if time.monotonic() >= deadline:
                raise NotTaggedInTimeError(f"“{found.filename}” still waits for its tags.")
            time.sleep(_LOOK_EVERY_S)
        return found

    # ------------------------------------------------------------ versions

    def versions(self, asset: AssetOrId) -> tuple[FileVersion, ...]:
        """The files that it had, the newest first."""
        body = json_of(self._transport.send("GET", f"assets/{id_of(asset)}/versions/"))
        return tuple(read(FileVersion, one) for one in body["results"])

    def replace_file(self, asset: AssetOrId, file: File, *, filename: str | None = None) -> Asset:
        """Put another file in the place of its own; decisions on tags stay."""
        answer = self._send_file(f"assets/{id_of(asset)}/versions/", file, filename, {})
        return _with_etag(answer)

    def restore_version(self, asset: AssetOrId, number: int) -> Asset:
        """Make an earlier file the current one."""
        path = f"assets/{id_of(asset)}/versions/{number}/restore/"
        return self._transport.change(Asset, "POST", path)

    def history(self, asset: AssetOrId) -> Iterator[HistoryEntry]:
        """What was done to it, the newest first."""
        return self._transport.each(HistoryEntry, f"assets/{id_of(asset)}/history/")

    # ------------------------------------------------------------ fetching

    def download(
        self,
        asset: AssetOrId,
        target: str | os.PathLike[str],
        *,
        size: str | int = "original",
        format: str = "original",  # noqa: A002  # as the server calls it
    ) -> Path:
        """Save it to a file, or into a folder under the name that it has; streamed, never half.

        Args:
            asset: which.
            target: file or folder.
            size: ``original``, or pixels of the long side.
            format: ``original``, ``jpeg``, ``png`` or ``webp``.

        Raises:
            NotAllowedError: you may see it, and not download it; or it has expired.
        """
        return self._transport.save(f"assets/{id_of(asset)}/download", target, size=str(size), format=format)

    def zip(  # noqa: PLR0913  # all by name
        self,
        target: str | os.PathLike[str],
        *,
        assets: Iterable[AssetOrId] = (),
        query: str | None = None,
        excluded: Iterable[AssetOrId] = (),
        size: str | int = "original",
        format: str = "original",  # noqa: A002  # as the server calls it
    ) -> Path:
        """Save many as one zip, streamed; ``manifest.csv`` in it says what each is."""
        body = {"selection": selection(assets, query, excluded), "size": str(size), "format": format}
        order = json_of(self._transport.send("POST", "downloads/zip/", json=body))
        return self._transport.save(order["url"], target)

    # -------------------------------------------------------------- shared

    def _send_file(self, path: str, file: File, filename: str | None, fields: dict[str, Any]) -> Response:
        data = {key: value for key, value in fields.items() if value is not None}
        if isinstance(file, (str, os.PathLike)):
            with Path(file).open("rb") as stream:
                files = {"file": (filename or Path(file).name, stream)}
                return self._transport.send("POST", path, data=data, files=files)
        name = filename or Path(str(getattr(file, "name", "") or "picture")).name
        return self._transport.send("POST", path, data=data, files={"file": (name, file)})


def _with_etag(answer: Response) -> Asset:
    return replace(read(Asset, json_of(answer)), etag=answer.headers.get("ETag", ""))


def selection(
    assets: Iterable[AssetOrId], query: str | None, excluded: Iterable[AssetOrId]
) -> dict[str, Any]:
    """What is meant, as JSON."""
    if query is None:
        return {"ids": [id_of(one) for one in assets]}
    return {"query": query, "excluded": [id_of(one) for one in excluded]}
