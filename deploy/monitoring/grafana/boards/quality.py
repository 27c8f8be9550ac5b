"""Are the tags good, and are they becoming worse?"""

from layout import Dashboard, Row, line
from panels import Query, gauge, series, table

_PRECISION_STEPS = ((None, "red"), (0.7, "orange"), (0.85, "green"))

_NOW = Row(
    "As people judge it (suggestions judged in the last 90 days)",
    (
        line(
            6,
            gauge(
                "Reviewed precision",
                "Of the suggested tags that people judged, which share was right?",
                Query("max(vitrine_reviewed_precision)"),
                least=0,
                steps=_PRECISION_STEPS,
                runbook="VitrineReviewedPrecisionFalls",
            ),
            gauge(
                "Tags nobody has judged",
                "Which share of the tags that people see stands by itself, resting on the model alone?",
                Query("max(vitrine_auto_accepted_share)"),
                least=0,
                steps=((None, "blue"),),
            ),
            gauge(
                "Pictures with a review",
                "On which share of the tagged pictures did a person judge a tag?",
                Query("max(vitrine_taggings_reviewed_share)"),
                least=0,
                steps=((None, "blue"),),
            ),
            gauge(
                "Calibration error",
                "Are scores probabilities? How far, on average, a score is from the share that was right; "
                "nothing below 50 reviews of the champion's suggestions.",
                Query("max(vitrine_calibration_error)"),
                least=0,
                steps=((None, "green"), (0.1, "orange"), (0.2, "red")),
            ),
            table(
                "Model",
                "Whose suggestions are these?",
                Query("max by (name, version, role) (vitrine_model_in_service_info)"),
                unit="none",
                columns={"role": "role", "name": "model", "version": "version"},
            ),
        ),
    ),
)

_CHANGE = Row(
    "Change",
    (
        line(
            8,
            series(
                "Reviewed precision over time",
                "Do people reject more than they used to? Five points less than a week ago is an alert.",
                Query("max(vitrine_reviewed_precision)", "now"),
                unit="percentunit",
                most=1,
                runbook="VitrineReviewedPrecisionFalls",
            ),
            series(
                "Drift of the champion's answers (population stability index)",
                "Does the model answer differently than when it began here? Below 0.1 is stable, above 0.25 "
                "a major shift. Nothing before it has answered 1,200 pictures.",
                Query(
                    "max by (model_version, distribution) (vitrine_score_drift_psi)",
                    "version {{model_version}}: {{distribution}}",
                ),
                unit="none",
                steps=((None, "green"), (0.1, "orange"), (0.25, "red")),
                runbook="VitrineScoreDrift",
            ),
            series(
                "Calibration error over time",
                "Do scores still mean what they say?",
                Query("max(vitrine_calibration_error)", "error"),
                unit="percentunit",
            ),
        ),
    ),
)

_TAGS = Row(
    "Tag by tag (the 50 that were judged most)",
    (
        line(
            10,
            table(
                "The least precise tags",
                "Which tags should get a higher threshold, or be taught?",
                Query("sort(max by (tag) (vitrine_tag_reviewed_precision))"),
                unit="percentunit",
                columns={"tag": "tag", "Value": "precision"},
                steps=_PRECISION_STEPS,
            ),
            table(
                "The most rejected tags",
                "Which tags cost people the most clicks?",
                Query('sort_desc(max by (tag) (vitrine_tag_reviews{verdict="rejected"}))'),
                unit="short",
                columns={"tag": "tag", "Value": "rejected"},
            ),
            series(
                "Reviews, by verdict",
                "How much do people review?",
                Query("sum by (verdict) (max by (tag, verdict) (vitrine_tag_reviews))", "{{verdict}}"),
                unit="short",
                stacked=True,
            ),
        ),
    ),
)

BOARD = Dashboard(
    uid="vitrine-quality",
    title="Vitrine: tag quality",
    about="Are the tags good, and are they becoming worse?",
    rows=(_NOW, _CHANGE, _TAGS),
)
