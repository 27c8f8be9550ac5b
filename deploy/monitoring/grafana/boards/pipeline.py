"""Where on its way does a picture spend its time, and where does it get stuck?"""

from layout import Dashboard, Row, line
from panels import Query, heatmap, series, table
from promql import mean, quantile, rate

_STAGE = "vitrine_stage_duration_seconds"
_PICTURE_STAGES = 'stage=~"fetch|decode|encode|store"'
_BATCH_STAGES = 'stage!~"fetch|decode|encode|store"'

_FLOW = Row(
    "The flow",
    (
        line(
            8,
            series(
                "From the upload to the tag",
                "Where does the flow narrow? In the long run all lines have the same height.",
                Query(rate("vitrine_jobs_published_total"), "jobs published"),
                Query(rate("vitrine_pictures_total"), "pictures answered by workers"),
                Query(rate("vitrine_answers_recorded_total"), "answers recorded"),
                unit="ops",
            ),
            series(
                "Answers, by what they did",
                "Are answers of use? Superseded, ignored and withdrawn ones change nothing.",
                Query(rate("vitrine_answers_recorded_total", by="outcome"), "{{outcome}}"),
                unit="ops",
                stacked=True,
            ),
            heatmap(
                "Time to tagged, uploads",
                "How long did each upload wait, and did all wait alike?",
                Query(
                    "sum by (le) (increase("
                    'vitrine_time_to_tagged_seconds_bucket{lane="interactive"}[$__rate_interval]))',
                    "{{le}}",
                ),
                unit="s",
            ),
        ),
    ),
)

_QUEUES = Row(
    "Queues",
    (
        line(
            8,
            series(
                "Messages that wait",
                "Which queue grows? More than 10,000 no queue takes; the rest waits in the job table.",
                Query(
                    'max by (queue) (vitrine_queue_messages{state="ready",queue!~".*[.]dead"})', "{{queue}}"
                ),
                unit="short",
            ),
            series(
                "Consumers",
                "Does somebody take from each queue?",
                Query("max by (queue) (vitrine_queue_consumers)", "{{queue}}"),
                unit="none",
                runbook="VitrineQueueWithoutConsumer",
            ),
            series(
                "Time in the queue (95 %)",
                "How long do messages wait until a worker takes them up?",
                Query("queue:vitrine_queue_wait_seconds:p95_5m", "{{queue}}"),
                unit="s",
                logarithmic=True,
            ),
        ),
        line(
            8,
            series(
                "Age of the oldest job",
                "Is anything left lying? Queued: the relay has not published it; published: no answer yet.",
                Query("max by (state, lane) (vitrine_oldest_job_age_seconds)", "{{state}}, {{lane}}"),
                unit="s",
                runbook="VitrineOldestJobTooOld",
            ),
            series(
                "Open jobs",
                "What is there to do, and for whom?",
                Query(
                    'max by (purpose, state) (vitrine_jobs{state=~"queued|published"})',
                    "{{purpose}}, {{state}}",
                ),
                unit="short",
                stacked=True,
            ),
            series(
                "Dead letters",
                "Which messages were given up and wait for a decision?",
                Query("max by (queue) (vitrine_dead_letters)", "{{queue}}"),
                unit="none",
                runbook="VitrineDeadLetters",
            ),
        ),
    ),
)

_STAGES = Row(
    "Stages",
    (
        line(
            9,
            series(
                "Each picture (95 %)",
                "Which part of the work on one picture takes how long?",
                Query(f"stage:{_STAGE}:p95_5m{{{_PICTURE_STAGES}}}", "{{stage}}"),
                unit="s",
            ),
            series(
                "Each batch (95 %)",
                "Which part of the work on a batch takes how long? write: results writer; others: worker.",
                Query(quantile(0.95, _STAGE, by="stage, queue", where=_BATCH_STAGES), "{{stage}}, {{queue}}"),
                unit="s",
            ),
            series(
                "Time of a picture, summed up",
                "What would be worth making faster? Seconds of each stage for every second.",
                Query(rate(f"{_STAGE}_sum", by="stage"), "{{stage}}"),
                unit="s",
                stacked=True,
            ),
        ),
        line(
            8,
            series(
                "Size of batches (mean)",
                "Are batches full? Fuller ones cost less for each picture.",
                Query(mean("vitrine_batch_messages", by="stage, queue"), "{{stage}}, {{queue}}"),
                unit="short",
            ),
            series(
                "Size of pictures",
                "Do larger pictures come in than usual? Decoding takes time with the pixels.",
                Query(quantile(0.5, "vitrine_picture_megapixels"), "half"),
                Query(quantile(0.95, "vitrine_picture_megapixels"), "95 %"),
                unit="suffix: MP",
            ),
            table(
                "Failed pictures, by reason",
                "Why do pictures fail? Totals since the workers began.",
                Query('sum by (reason) (vitrine_pictures_total{outcome="failed"})'),
                unit="short",
                columns={"reason": "reason", "Value": "pictures"},
                runbook="VitrinePicturesFail",
            ),
        ),
    ),
)

_TROUBLE = Row(
    "Trouble",
    (
        line(
            7,
            series(
                "Attempts that failed",
                "Who meets something that is down?",
                Query(
                    f"{rate('vitrine_dependency_failures_total', by='service, stage')} or vector(0)",
                    "{{service}} {{stage}}",
                ),
                unit="ops",
                runbook="VitrineProcessWaits",
            ),
            series(
                "Jobs that a full queue refused",
                "Does the broker push back? They stay in the job table; nothing is lost.",
                Query(f"{rate('vitrine_jobs_refused_total')} or vector(0)", "refused"),
                unit="ops",
            ),
            series(
                "Messages given up",
                "Are messages given up at this moment, by workers or by the broker after five deliveries?",
                Query(f"{rate('vitrine_messages_rejected_total')} or vector(0)", "rejected by workers"),
                Query(f"{rate('vitrine_dead_letters_kept_total')} or vector(0)", "kept by the catalogue"),
                unit="ops",
                runbook="VitrineDeadLetters",
            ),
        ),
    ),
)

BOARD = Dashboard(
    uid="vitrine-pipeline",
    title="Vitrine: pipeline",
    about="Where on its way does a picture spend its time, and where does it get stuck?",
    rows=(_FLOW, _QUEUES, _STAGES, _TROUBLE),
)
