"""Is Vitrine all right, and if not, where to look?"""

from layout import Dashboard, Row, line
from panels import NONE_IS_GOOD, Query, gauge, series, stat, states, table
from promql import WINDOW, quantiles, rate

_BURN_LIMITS = ((None, "green"), (6, "orange"), (14.4, "red"))
_RESPONSES = "django_http_responses_total_by_status_view_method_total"
_LATENCY = "django_http_requests_latency_seconds_by_view_method"


def _in_time(lane: str, bound: str) -> str:
    bucket = f'vitrine_time_to_tagged_seconds_bucket{{lane="{lane}",le=~"{bound}(\\\\.0)?"}}'
    count = f'vitrine_time_to_tagged_seconds_count{{lane="{lane}"}}'
    return f"sum(increase({bucket}[$__range])) / (sum(increase({count}[$__range])) > 0)"


def _burn(lane: str) -> tuple[Query, ...]:
    return tuple(
        Query(f'lane:vitrine_time_to_tagged:burnrate{window}{{lane="{lane}"}}', window)
        for window in ("5m", "30m", "1h", "6h")
    )


_STATUS = Row(
    "Is it all right?",
    (
        line(
            4,
            stat(
                "Alerts",
                "Is anything wrong? Alerts that fire now; the table below names them.",
                Query('count(ALERTS{alertstate="firing",alertname=~"Vitrine.*"}) or vector(0)'),
                unit="none",
                steps=NONE_IS_GOOD,
            ),
            stat(
                "Ledger",
                "Can the catalogue say what became of every picture? Anything but yes is a fault.",
                Query("max(vitrine_ledger_agrees)"),
                unit="none",
                texts={"1": "agrees", "0": "DOES NOT AGREE"},
                steps=((None, "red"), (1, "green")),
                runbook="VitrineLedgerDoesNotAgree",
            ),
            stat(
                "Processes down",
                "Does every process that Prometheus knows answer?",
                Query('count(up{job="vitrine"} == 0) or vector(0)'),
                unit="none",
                steps=NONE_IS_GOOD,
                runbook="VitrineProcessDown",
            ),
            stat(
                "Dependencies",
                "Do database, broker and blob store answer the monitor?",
                Query("max(vitrine_database_up)", "database"),
                Query("max(vitrine_broker_up)", "broker"),
                Query("max(vitrine_blob_store_up)", "blob store"),
                unit="none",
                texts={"1": "up", "0": "DOWN"},
                steps=((None, "red"), (1, "green")),
                width=8,
            ),
            stat(
                "Pictures that wait",
                "How many pictures have no tags yet? Thousands are normal during an import.",
                Query('max(vitrine_assets_pending{older_than="0s"})'),
                unit="short",
            ),
            stat(
                "Longest wait of a person",
                "For how long has the oldest upload of a person waited for its tags?",
                Query('max(vitrine_oldest_job_age_seconds{lane="interactive"})'),
                unit="s",
                steps=((None, "green"), (30, "orange"), (60, "red")),
                runbook="VitrineOldestJobTooOld",
            ),
            stat(
                "Dead letters",
                "How many messages were given up and wait for somebody's decision?",
                Query("sum(max by (queue) (vitrine_dead_letters))"),
                unit="none",
                steps=NONE_IS_GOOD,
                runbook="VitrineDeadLetters",
            ),
        ),
    ),
)

_PROMISES = Row(
    "What is promised: 99 % of uploads tagged within 30 seconds, 99 % of imports within 4 hours",
    (
        line(
            7,
            gauge(
                "Uploads in time",
                "Which share of the uploads was tagged within 30 seconds, over the range shown?",
                Query(_in_time("interactive", "30")),
                least=0.95,
                steps=((None, "red"), (0.99, "green")),
                width=4,
            ),
            gauge(
                "Imports in time",
                "Which share of imported pictures was tagged within 4 hours, over the range shown?",
                Query(_in_time("bulk", "14400")),
                least=0.95,
                steps=((None, "red"), (0.99, "green")),
                width=4,
            ),
            series(
                "Budget burn, uploads",
                "How many times faster than allowed is the budget of late uploads used up? At 1 it lasts; "
                "alerts come at 14.4 (1 h and 5 min) and 6 (6 h and 30 min).",
                *_burn("interactive"),
                unit="none",
                steps=_BURN_LIMITS,
                runbook="VitrineTimeToTaggedBurnsFast",
            ),
            series(
                "Budget burn, imports",
                "The same for imports.",
                *_burn("bulk"),
                unit="none",
                steps=_BURN_LIMITS,
                runbook="VitrineTimeToTaggedBurnsFast",
            ),
        ),
        line(
            7,
            series(
                "Time to tagged, uploads",
                "How long does a person wait for tags?",
                *quantiles("vitrine_time_to_tagged_seconds", where='lane="interactive"'),
                unit="s",
                steps=((None, "green"), (30, "red")),
                logarithmic=True,
            ),
            series(
                "Pictures",
                "How many pictures are tagged, and how many fail?",
                Query(rate("vitrine_pictures_total", by="outcome"), "{{outcome}}"),
                unit="ops",
                stacked=True,
                runbook="VitrinePicturesFail",
            ),
            series(
                "Pictures that wait, by age",
                "Is what waits worked off, or forgotten?",
                Query("max by (older_than) (vitrine_assets_pending)", "at least {{older_than}}"),
                unit="short",
                runbook="VitrinePicturesPendingTooLong",
            ),
        ),
    ),
)

_SITE = Row(
    "The site: pages and REST interface",
    (
        line(
            7,
            series(
                "Requests",
                "How much is asked, and with which kind of answer?",
                Query(
                    f'sum by (class) (label_replace(rate({_RESPONSES}[{WINDOW}]), "class", "${{1}}xx", '
                    '"status", "(.).*"))',
                    "{{class}}",
                ),
                unit="reqps",
                stacked=True,
            ),
            series(
                "Errors",
                "Which share of the answers is an error of ours (5xx)?",
                Query("vitrine:django_http_errors:ratio_rate5m", "5xx"),
                unit="percentunit",
                steps=((None, "green"), (0.05, "red")),
                runbook="VitrineWebErrors",
            ),
            series(
                "Time to answer",
                "How long do people and programs wait for an answer?",
                *quantiles(_LATENCY),
                unit="s",
                steps=((None, "green"), (2, "red")),
                runbook="VitrineWebSlow",
            ),
        ),
    ),
)

_PROCESSES = Row(
    "Processes and alerts",
    (
        line(
            8,
            states(
                "Processes that answer",
                "Which process was down, and when? Of several of a kind: whether any was down.",
                Query('min by (service) (up{job="vitrine"})', "{{service}}"),
                texts={"0": "down", "1": "up"},
                runbook="VitrineProcessDown",
            ),
            states(
                "Processes that can work",
                "Which process waited for something that was down, and when?",
                Query("min by (service) (vitrine_ready)", "{{service}}"),
                texts={"0": "waits", "1": "ready"},
                runbook="VitrineProcessWaits",
            ),
            table(
                "Alerts that fire",
                "What is wrong now? Each alert has its page in the runbook.",
                Query(
                    "sort_desc(count by (alertname, severity, service, queue, lane) "
                    '(ALERTS{alertstate="firing",alertname=~"Vitrine.*"}))'
                ),
                unit="none",
                columns={
                    "alertname": "alert",
                    "severity": "severity",
                    "service": "service",
                    "queue": "queue",
                    "lane": "lane",
                },
            ),
        ),
    ),
)

BOARD = Dashboard(
    uid="vitrine-overview",
    title="Vitrine: overview",
    about="Is Vitrine all right, and if not, where to look?",
    rows=(_STATUS, _PROMISES, _SITE, _PROCESSES),
)
