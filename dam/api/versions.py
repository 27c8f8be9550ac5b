"""The file history of an asset."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import UploadedFile
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.assets import asset_answer, signed_in, uploaded_name
from dam.api.problems import problems
from dam.api.serializers import AssetSerializer
from dam.api.serializers_curation import FileVersionListSerializer, FileVersionUploadSerializer
from dam.assets.models import Asset, AssetVersion
from dam.assets.versions import version_add, version_restore, versions_of
from dam.search.selectors import asset_get


class Versions(APIView):
    """The files that an asset had."""

    parser_classes = (MultiPartParser,)

    @extend_schema(
        operation_id="versions_list",
        summary="List the files that an asset had",
        responses={200: FileVersionListSerializer, **problems(404)},
    )
    def get(self, request: Request, asset_id: int) -> Response:
        """The newest first; only the current one for who may not change the asset."""
        user = signed_in(request)
        asset = asset_get(user=user, asset_id=asset_id)
        versions = versions_of(asset=asset, user=user)
        body = {"results": [_version_json(asset, version) for version in versions]}
        return Response(FileVersionListSerializer(body).data)

    @extend_schema(
        operation_id="versions_add",
        summary="Replace the file of an asset",
        request={"multipart/form-data": FileVersionUploadSerializer},
        responses={
            201: OpenApiResponse(
                AssetSerializer, description="The asset with its new file, which is queued."
            ),
            **problems(400, 403, 404, 411, 413, 415, 422),
        },
    )
    def post(self, request: Request, asset_id: int) -> Response:
        """What people decided on tags stays. 400 `same-bytes` for the file that it has."""
        user = signed_in(request)
        asset = asset_get(user=user, asset_id=asset_id)
        form = FileVersionUploadSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        file: UploadedFile[Any] = form.validated_data["file"]
        version_add(
            asset=asset,
            stream=file.file,  # type: ignore[arg-type]  # a BytesIO or a temporary file
            filename=uploaded_name(file),
            user=user,
        )
        return asset_answer(request, asset_id, status=201)


class VersionRestore(APIView):
    """An earlier file as the current one."""

    @extend_schema(
        operation_id="versions_restore",
        summary="Make an earlier file the current one",
        request=None,
        responses={200: AssetSerializer, **problems(400, 403, 404, 415, 422)},
    )
    def post(self, request: Request, asset_id: int, number: int) -> Response:
        """As a new version, so that the history shows that it happened."""
        user = signed_in(request)
        asset = asset_get(user=user, asset_id=asset_id)
        if not versions_of(asset=asset, user=user).filter(number=number).exists():
            raise AssetVersion.DoesNotExist
        version_restore(asset=asset, number=number, user=user)
        return asset_answer(request, asset_id)


def _version_json(asset: Asset, version: AssetVersion) -> dict[str, Any]:
    return {
        "number": version.number,
        "filename": version.filename,
        "size": version.blob.size,
        "media_type": version.blob.media_type,
        "sha256": version.blob.sha256,
        "created_at": version.created_at,
        "created_by": version.created_by.get_username() if version.created_by else None,
        "current": version.pk == asset.current_version_id,
    }
