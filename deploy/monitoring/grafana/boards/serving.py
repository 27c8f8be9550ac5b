"""Does the model answer, how fast, and which version is it?"""

from layout import Dashboard, Row, line
from panels import Query, bars, series, stat, table
from promql import WINDOW, quantile, quantiles, rate

_LATENCY = ":tensorflow:serving:request_latency"
_RUNTIME = ":tensorflow:serving:runtime_latency"
_SECONDS = " / 1e6"

_SERVER = Row(
    "Model server (TensorFlow Serving's own numbers)",
    (
        line(
            8,
            series(
                "Requests",
                "How many batches are asked for, and how do the answers end?",
                Query(rate(":tensorflow:serving:request_count", by="status"), "{{status}}"),
                unit="reqps",
                stacked=True,
            ),
            series(
                "Errors",
                "Which share of the requests is refused?",
                Query("vitrine:tensorflow_serving_errors:ratio_rate5m", "errors"),
                unit="percentunit",
                steps=((None, "green"), (0.05, "red")),
                runbook="VitrineModelServerErrors",
            ),
            series(
                "Time to answer",
                "How long does a request take, from its arrival to its answer?",
                *quantiles(_LATENCY, scale=_SECONDS),
                unit="s",
                steps=((None, "green"), (5, "red")),
                runbook="VitrineModelServerSlow",
            ),
        ),
        line(
            8,
            series(
                "Computing and the rest (95 %)",
                "Is it the model that takes the time, or what is around it (unpacking, waiting)?",
                Query(quantile(0.95, _LATENCY) + _SECONDS, "request"),
                Query(quantile(0.95, _RUNTIME) + _SECONDS, "computing"),
                unit="s",
            ),
            series(
                "As the workers see it (95 %)",
                "How long does a batch's answer take with the network and the pauses between attempts?",
                Query(
                    quantile(0.95, "vitrine_stage_duration_seconds", by="queue", where='stage="predict"'),
                    "{{queue}}",
                ),
                unit="s",
            ),
            series(
                "Graph runs",
                "How busy is TensorFlow? Seconds of computing for every second.",
                Query(f"sum(rate(:tensorflow:core:graph_run_time_usecs[{WINDOW}])) / 1e6", "computing"),
                unit="s",
            ),
        ),
    ),
)

_VERSIONS = Row(
    "Versions",
    (
        line(
            7,
            stat(
                "Model servers that answer",
                "Is there a model server?",
                Query('sum(up{job="vitrine",service="model-server"})'),
                unit="none",
                steps=((None, "red"), (1, "green")),
                runbook="VitrineModelServerDown",
                width=4,
            ),
            table(
                "In service",
                "Which version is champion, which is on trial, and which is the way back?",
                Query("max by (name, version, role) (vitrine_model_in_service_info)"),
                unit="none",
                columns={"role": "role", "name": "model", "version": "version"},
                width=7,
            ),
            table(
                "Answered last",
                "Which version did workers get for each label? Two for one: a change is under way.",
                Query("count by (label, version) (vitrine_worker_model_info == 1)"),
                unit="none",
                columns={"label": "label", "version": "version", "Value": "workers"},
                width=6,
            ),
            bars(
                "Time to load",
                "How long does a version take to load, from its files to its first answer?",
                Query(
                    "max by (model_path) (:tensorflow:cc:saved_model:load_latency) / 1e6", "{{model_path}}"
                ),
                unit="s",
            ),
        ),
    ),
)

_CONTROLLER = Row(
    "Controller",
    (
        line(
            6,
            stat(
                "Last look",
                "Does the controller look after the model server?",
                Query("time() - max(vitrine_controller_last_look_timestamp_seconds)"),
                unit="s",
                steps=((None, "green"), (600, "red")),
                runbook="VitrineControllerSilent",
                width=4,
            ),
            table(
                "What it did",
                "Which steps did it take since it began?",
                Query("sum by (act) (vitrine_controller_acts_total)"),
                unit="short",
                columns={"act": "step", "Value": "times"},
                width=8,
            ),
            series(
                "Workers that can work",
                "Did workers have to wait for the model server?",
                Query('sum(vitrine_ready{service="worker"})', "ready"),
                Query('count(vitrine_ready{service="worker"})', "running"),
                unit="none",
                runbook="VitrineWorkersWait",
            ),
        ),
    ),
)

BOARD = Dashboard(
    uid="vitrine-serving",
    title="Vitrine: serving",
    about="Does the model answer, how fast, and which version is it?",
    rows=(_SERVER, _VERSIONS, _CONTROLLER),
)
