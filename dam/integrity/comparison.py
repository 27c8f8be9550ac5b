"""Comparing what the database names with what lies in the blob store, in one pass over both.

Both are read in the order of their paths, so that neither is held in memory. Nothing is told at first sight:
pictures are uploaded and swept meanwhile, so whatever looks wrong is looked at again under the lock that
uploads and sweeps of the same content take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from dam.integrity import named
from dam.integrity.again import Again
from dam.integrity.named import Arc, Named
from dam.integrity.reading import Read, Reader
from dam.integrity.report import Kind, Outcome, Report
from dam.integrity.selectors import suspects
from pipeline.blobs import INCOMING, BlobStoreDownError
from pipeline.trees import FolderTree, Tree, TreeObject

_BATCH = 100
"""What looks wrong is looked at again in so large parts."""

_Item = TypeVar("_Item", Named, TreeObject)


class Comparison:
    """One pass over both.

    Args:
        tree: the store.
        report: takes what is found.
        reader: of originals whose turn it is.
        again: the second look.
        tell: called after every file.
    """

    def __init__(
        self, tree: Tree, report: Report, reader: Reader, again: Again, tell: Callable[[], None]
    ) -> None:
        self._tree = tree
        self._report = report
        self._reader = reader
        self._again = again
        self._tell = tell
        self._arc: Arc | None = None
        self._suspects: frozenset[str] = frozenset()
        self._doubtful: list[Named] = []
        self._unnamed: list[TreeObject] = []

    def work(self, share: float, should_stop: Callable[[], bool]) -> Outcome:
        """Compare; gives how it ended, if nothing failed.

        Args:
            share: of the originals, from 0 to 1, that is read.
            should_stop: asked for every file.

        Raises:
            BlobStoreDownError: the store does not do its part.
        """
        report = self._report
        report.expected = named.originals_count()
        if report.expected and isinstance(self._tree, FolderTree):
            _check_folder(self._tree)
        if self._is_wrong_store():
            return Outcome.WRONG_STORE
        self._suspects = suspects()
        self._arc = self._arc_of(share)
        if self._arc is not None:
            report.read_from = report.read_until = self._arc.after
        for file, lying in _side_by_side(
            _in_order(named.named_files(), "the database"), _in_order(self._lying(), "the store")
        ):
            if should_stop():
                return Outcome.STOPPED
            self._look(file, lying)
            self._tell()
        self._settle_doubtful(rest=True)
        self._settle_unnamed(rest=True)
        for read in self._reader.rest():
            self._take(read)
            self._tell()
        if should_stop():
            return Outcome.STOPPED
        if self._arc is not None:
            report.read_until = self._arc.until
        return Outcome.DONE

    def _is_wrong_store(self) -> bool:
        """Whether nothing is there of what has to be, so that no list of it would help."""
        report = self._report
        sample = named.some_originals(report.expected)
        if not sample or self._again.heads(sample[:1])[0] is not None:
            return False
        found = [finding for _, finding in self._again.doubtful(sample)]
        missing = [one for one in found if one is not None and one.kind is Kind.MISSING]
        if not missing or len(missing) < len(found):
            return False
        for finding in missing:
            report.originals.add(finding.size)
            report.add(finding)
        chosen = "" if len(missing) >= report.expected else f"{len(missing):,}, chosen by chance, of "
        report.trouble = (
            f"None of {chosen}the {report.expected:,} originals that the database names is in "
            f"{self._tree.url}: it is another installation's store, or a disk that is not mounted, or it "
            "lost everything. Check DATABASE_URL and VITRINE_BLOB_URL"
        )
        return True

    def _arc_of(self, share: float) -> Arc | None:
        if not share or not self._report.expected:
            return None
        if share == 1:
            return Arc("", "")
        return named.next_arc(after=self._report.read_from, share=share, expected=self._report.expected)

    def _lying(self) -> Iterator[TreeObject]:
        """What lies in the store, but for files that are being written."""
        skipped = f"{INCOMING}/" if isinstance(self._tree, FolderTree) else None
        for lying in self._tree.objects():
            if skipped is None or not lying.path.startswith(skipped):
                self._report.listed.add(lying.size)
                yield lying

    def _look(self, file: Named | None, lying: TreeObject | None) -> None:
        if file is None:
            assert lying is not None
            if self._again.is_old(lying):
                self._unnamed.append(lying)
                self._settle_unnamed()
            return
        if file.is_original:
            self._report.originals.add(file.size or 0)
        else:
            self._report.renditions += 1
        if lying is None or not lying.size or file.size not in {None, lying.size}:
            self._doubtful.append(file)
            self._settle_doubtful()
        else:
            self._read(file)

    def _settle_doubtful(self, *, rest: bool = False) -> None:
        if rest or len(self._doubtful) >= _BATCH:
            batch, self._doubtful = self._doubtful, []
            for file, finding in self._again.doubtful(batch):
                if finding is not None:
                    self._report.add(finding)
                else:
                    self._read(file)

    def _settle_unnamed(self, *, rest: bool = False) -> None:
        if rest or len(self._unnamed) >= _BATCH:
            batch, self._unnamed = self._unnamed, []
            for finding in self._again.unnamed(batch):
                self._report.add(finding)

    def _read(self, file: Named) -> None:
        """Have an original read, if it is its turn or it was found changed before."""
        if file.is_original and (
            (self._arc is not None and file.sha256 in self._arc) or file.path in self._suspects
        ):
            for read in self._reader.read(file):
                self._take(read)

    def _take(self, read: Read) -> None:
        if not read.is_gone:
            self._report.read.add(read.size)
        if read.is_gone or read.trouble:
            for _, finding in self._again.doubtful([read.file], trouble=read.trouble):
                if finding is not None:
                    self._report.add(finding)
        if self._arc is not None and read.file.sha256 in self._arc:
            self._report.read_until = max(self._report.read_until, read.file.sha256)


def _check_folder(tree: FolderTree) -> None:
    """A folder that is not there is an outage, as a missing bucket is."""
    if not Path(tree.url).is_dir():
        raise BlobStoreDownError(f"there is no folder {tree.url}")


def _in_order(items: Iterable[_Item], whose: str) -> Iterator[_Item]:
    """The same, unless two stand in another order than that of their paths' bytes.

    Raises:
        BlobStoreDownError: they do, and so cannot be compared in one pass.
    """
    last = b""
    for item in items:
        path = item.path.encode("utf-8", "surrogateescape")
        if path < last:
            raise BlobStoreDownError(f"{whose} gives its files in another order than that of their names")
        last = path
        yield item


def _side_by_side(
    files: Iterator[Named], objects: Iterator[TreeObject]
) -> Iterator[tuple[Named | None, TreeObject | None]]:
    """What is named with what lies there under the same path, or either alone."""
    file, lying = next(files, None), next(objects, None)
    while file is not None or lying is not None:
        if lying is None or (file is not None and file.path < lying.path):
            yield file, None
            file = next(files, None)
        elif file is None or lying.path < file.path:
            yield None, lying
            lying = next(objects, None)
        else:
            yield file, lying
            file, lying = next(files, None), next(objects, None)
