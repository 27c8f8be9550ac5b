"""One factory per model. They make rows as the services would leave them, without files in the blob store."""

from __future__ import annotations

import hashlib
from typing import Any

import factory
from django.contrib.auth.models import User
from django.contrib.postgres.search import SearchVector
from django.db.models import Value
from django.utils import timezone

from dam.assets.models import Album, AlbumEntry, Asset, AssetVersion, Blob, Collection, Grant, Level
from dam.assets.naming import normalise, sort_key
from dam.assets.services import root_collection
from dam.jobs.models import TaggingJob
from dam.tagging.models import Claim, Decision, ModelVersion, Prediction, Tag
from dam.tagging.vocabulary import lookup_of
from pipeline.blobs import original_key


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"user{n}")
    # Unusable, because hashing a real one takes a third of a second. Sign in with ``client.force_login``.
    password = factory.django.Password(None)


class StaffFactory(UserFactory):
    is_staff = True
    is_superuser = True
    username = factory.Sequence(lambda n: f"staff{n}")


class CollectionFactory(factory.Factory):
    """A collection below the root."""

    class Meta:
        model = Collection

    name = factory.Sequence(lambda n: f"Collection {n}")

    @classmethod
    def _create(cls, model_class: type[Collection], *args: Any, **kwargs: Any) -> Collection:
        return Collection.objects.add_child(root_collection(), create_kwargs=kwargs)


class TagFactory(factory.django.DjangoModelFactory):
    """``TagFactory(name="golden retriever", parents=[dog])``; ancestors follow from the parents."""

    class Meta:
        model = Tag
        django_get_or_create = ("slug",)
        skip_postgeneration_save = True

    name = factory.Sequence(lambda n: f"tag {n}")
    slug = factory.LazyAttribute(lambda tag: normalise(tag.name).replace(" ", "-"))
    kind = Tag.Kind.LEAF
    synonyms = factory.LazyFunction(list)
    lookup = factory.LazyAttribute(lambda tag: lookup_of(name=tag.name, synonyms=tag.synonyms))

    @factory.post_generation
    def parents(self: Any, create: bool, extracted: Any) -> None:
        if extracted:
            self.parents.set(extracted)
            self.ancestor_ids = sorted(
                {parent.pk for parent in extracted}.union(*(parent.ancestor_ids for parent in extracted))
            )
            self.save()


class ModelVersionFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = ModelVersion

    name = "tagger"
    version = factory.Sequence(lambda n: n + 1)
    preprocess_id = "rgb-1"
    vocabulary_id = "words-1"
    embedding_id = "space-1"


class BlobFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Blob

    sha256 = factory.Sequence(lambda n: hashlib.sha256(str(n).encode()).hexdigest())
    size = 1000
    media_type = "image/jpeg"
    key = factory.LazyAttribute(lambda blob: original_key(blob.sha256))


class AssetFactory(factory.django.DjangoModelFactory):
    """A tagged asset with one file version. ``tags=[…]``: carried as accepted claims."""

    class Meta:
        model = Asset
        skip_postgeneration_save = True

    placeholder = ""
    renditions = factory.LazyFunction(dict)
    collection = factory.LazyFunction(root_collection)
    filename = factory.Sequence(lambda n: f"picture-{n}.jpg")
    sort_name = factory.LazyAttribute(lambda asset: sort_key(asset.filename))
    width = 640
    height = 480
    size = 1000
    media_type = "image/jpeg"
    uploaded_by = factory.SubFactory(UserFactory)
    state = Asset.State.TAGGED
    generation = 1

    @classmethod
    def _create(cls, model_class: type[Asset], *args: Any, **kwargs: Any) -> Asset:
        placeholder, renditions = kwargs.pop("placeholder", ""), kwargs.pop("renditions", {})
        asset: Asset = super()._create(model_class, *args, **kwargs)
        blob = BlobFactory(size=asset.size, media_type=asset.media_type)
        asset.current_version = AssetVersion.objects.create(
            asset=asset,
            blob=blob,
            filename=asset.filename,
            placeholder=placeholder,
            renditions=renditions,
            created_by=asset.uploaded_by,
        )
        asset.save()
        text = normalise(f"{asset.title} {asset.description} {asset.filename}")
        Asset.objects.filter(pk=asset.pk).update(words=SearchVector(Value(text), config="simple"))
        return asset

    @factory.post_generation
    def tags(self: Any, create: bool, extracted: Any) -> None:
        for tag in extracted or ():
            ClaimFactory(asset=self, tag=tag, state=Claim.State.ACCEPTED)
            self.tag_ids = sorted({*self.tag_ids, tag.pk, *tag.ancestor_ids})
        Asset.objects.filter(pk=self.pk).update(tag_ids=self.tag_ids)


class TaggingJobFactory(factory.django.DjangoModelFactory):
    """The queued job of an asset."""

    class Meta:
        model = TaggingJob

    asset = factory.SubFactory(AssetFactory, state=Asset.State.PENDING)
    asset_version = factory.LazyAttribute(lambda job: job.asset.current_version if job.asset else None)
    generation = factory.LazyAttribute(lambda job: job.asset.generation if job.asset else 1)
    blob_key = factory.LazyAttribute(
        lambda job: job.asset_version.blob.key if job.asset_version else original_key("0" * 64)
    )
    sha256 = factory.LazyAttribute(
        lambda job: job.asset_version.blob.sha256 if job.asset_version else "0" * 64
    )
    media_type = "image/jpeg"


class PredictionFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Prediction

    asset = factory.SubFactory(AssetFactory)
    asset_version = factory.LazyAttribute(lambda prediction: prediction.asset.current_version)
    model_version = factory.SubFactory(ModelVersionFactory)
    generation = factory.LazyAttribute(lambda prediction: prediction.asset.generation)
    purpose = "live"
    tag_ids = factory.LazyFunction(list)
    scores = factory.LazyFunction(list)


class DecisionFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Decision

    asset = factory.SubFactory(AssetFactory)
    tag = factory.SubFactory(TagFactory)
    verdict = Decision.Verdict.ACCEPTED
    decided_by = factory.SubFactory(UserFactory)
    decided_at = factory.LazyFunction(timezone.now)


class ClaimFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Claim

    asset = factory.SubFactory(AssetFactory)
    tag = factory.SubFactory(TagFactory)
    state = Claim.State.SUGGESTED
    source = Claim.Source.MODEL
    score = 0.9
    threshold = 0.5


def job_close(job: TaggingJob, *, failed: bool = False, reason: str = "") -> None:
    """Leave a job as an answer would."""
    job.state = TaggingJob.State.FAILED if failed else TaggingJob.State.DONE
    job.reason = reason
    job.closed_at = timezone.now()
    job.save()


class GrantFactory(factory.django.DjangoModelFactory):
    """``GrantFactory(collection=…, user=anna, level=Level.CURATE)``; without user and group: to everybody."""

    class Meta:
        model = Grant

    collection = factory.LazyFunction(root_collection)
    level = Level.VIEW


class AlbumFactory(factory.django.DjangoModelFactory):
    """An album; ``pictures=[…]`` lie in it."""

    class Meta:
        model = Album
        skip_postgeneration_save = True

    name = factory.Sequence(lambda n: f"Album {n}")
    owner = factory.SubFactory(UserFactory)

    @factory.post_generation
    def pictures(self: Any, create: bool, extracted: Any) -> None:
        for asset in extracted or ():
            AlbumEntry.objects.create(album=self, asset=asset, added_by=self.owner)
