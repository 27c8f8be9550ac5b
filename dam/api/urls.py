"""The addresses of the REST API. Collections end with a slash; files are found with and without one."""

from django.urls import URLPattern, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from dam.api import assets, files, health, model_versions, predict, rollout, tags
from dam.api.errors import not_found

urlpatterns: list[URLPattern] = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("api/v1/assets/", assets.Assets.as_view(), name="api-assets"),
    path("api/v1/assets/<int:asset_id>/", assets.AssetDetail.as_view(), name="api-asset"),
    path("api/v1/assets/<int:asset_id>/file", files.Original.as_view(), name="api-asset-file"),
    path("api/v1/assets/<int:asset_id>/file/", files.Original.as_view(schema=None)),
    path(
        "api/v1/assets/<int:asset_id>/renditions/<slug:name>", files.Rendition.as_view(), name="api-rendition"
    ),
    path("api/v1/assets/<int:asset_id>/renditions/<slug:name>/", files.Rendition.as_view(schema=None)),
    path("api/v1/assets/<int:asset_id>/decisions/", assets.Decisions.as_view(), name="api-decisions"),
    path(
        "api/v1/assets/<int:asset_id>/decisions/<slug:slug>/",
        assets.DecisionDetail.as_view(),
        name="api-decision",
    ),
    path("api/v1/tags/", tags.Tags.as_view(), name="api-tags"),
    path("api/v1/predict/", predict.Predict.as_view(), name="api-predict"),
    path("api/v1/predict/<int:job_id>/", predict.PredictAnswer.as_view(), name="api-predict-answer"),
    path("api/v1/ledger/", tags.LedgerSums.as_view(), name="api-ledger"),
    path("api/v1/rollout/", rollout.RolloutDetail.as_view(), name="api-rollout"),
    path("api/v1/rollout/serving/", rollout.Serving.as_view(), name="api-rollout-serving"),
    path("api/v1/rollout/comparison/", rollout.Comparison.as_view(), name="api-rollout-comparison"),
    path("api/v1/rollout/promotions/", rollout.Promotions.as_view(), name="api-rollout-promotions"),
    path("api/v1/rollout/rollbacks/", rollout.Rollbacks.as_view(), name="api-rollout-rollbacks"),
    path("api/v1/rollout/steps/", rollout.Steps.as_view(), name="api-rollout-steps"),
    path(
        "api/v1/rollout/steps/<int:step_id>/settle/", rollout.StepSettle.as_view(), name="api-rollout-settle"
    ),
    path("api/v1/models/", model_versions.Models.as_view(), name="api-models"),
    path("api/v1/models/<int:version_id>/", model_versions.ModelDetail.as_view(), name="api-model"),
    path("api/v1/models/<int:version_id>/undo/", model_versions.ModelUndo.as_view(), name="api-model-undo"),
    path(
        "api/v1/models/<int:version_id>/take-back/",
        model_versions.ModelTakeBack.as_view(),
        name="api-model-take-back",
    ),
    path("api/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="api-schema"), name="api-docs"),
    # (?s): a line break in an address is no way out either.
    re_path(r"^api/(?P<rest>(?s:.*))$", not_found),
]
