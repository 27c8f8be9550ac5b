"""What became of every picture, what comes in, and what does the catalogue do by itself?"""

from layout import Dashboard, Row, line
from panels import ALL_IS_GOOD, NONE_IS_GOOD, Query, bars, series, stat, table
from promql import WINDOW, quantile, rate

_RESPONSES = "django_http_responses_total_by_status_view_method_total"
_VOCABULARY = "vitrine_vocabulary_cache_requests_total"
_HIT = 'result="hit"'
_LATENCY = "django_http_requests_latency_seconds_by_view_method"

_LEDGER = Row(
    "The ledger",
    (
        line(
            7,
            stat(
                "Ledger",
                "Can the catalogue say what became of every picture?",
                Query("max(vitrine_ledger_agrees)"),
                unit="none",
                texts={"1": "agrees", "0": "DOES NOT AGREE"},
                steps=ALL_IS_GOOD,
                runbook="VitrineLedgerDoesNotAgree",
                width=4,
            ),
            stat(
                "Exceptions",
                "If not: how many pictures are forgotten, unproven or unexplained? See `vitrine ledger`.",
                Query("max by (kind) (vitrine_ledger_exceptions)", "{{kind}}"),
                Query("sum(max by (kind) (vitrine_ledger_exceptions))", "together"),
                unit="none",
                steps=NONE_IS_GOOD,
                runbook="VitrineLedgerDoesNotAgree",
                width=8,
            ),
            series(
                "Pictures by state",
                "How large is the library, and how much of it is tagged?",
                Query("max by (state) (vitrine_assets)", "{{state}}"),
                unit="short",
                stacked=True,
            ),
            bars(
                "Failed, by reason",
                "Why could pictures not be tagged?",
                Query("max by (reason) (vitrine_assets_failed)", "{{reason}}"),
                unit="short",
            ),
        ),
    ),
)

_INCOMING = Row(
    "What comes in",
    (
        line(
            7,
            series(
                "Uploads",
                "How many pictures do people bring? Existing: the same bytes were there already.",
                Query(rate("vitrine_uploads_total", by="outcome"), "{{outcome}}"),
                unit="ops",
                stacked=True,
            ),
            series(
                "Bytes of uploads",
                "How fast do originals come in by the site? (Imports on the server are not in it.)",
                Query(rate("vitrine_upload_bytes_total"), "uploads"),
                unit="Bps",
            ),
            series(
                "Pictures that wait, by age",
                "Is what waits worked off?",
                Query("max by (older_than) (vitrine_assets_pending)", "at least {{older_than}}"),
                unit="short",
                runbook="VitrinePicturesPendingTooLong",
            ),
        ),
    ),
)

_SITE = Row(
    "Pages and REST interface, by view",
    (
        line(
            9,
            table(
                "Requests and errors",
                "Which views answer with errors?",
                Query(
                    f'sort_desc(sum by (view, status) (increase({_RESPONSES}{{status=~"[45].."}}[$__range])))'
                ),
                unit="short",
                columns={"view": "view", "status": "status", "Value": "answers"},
                runbook="VitrineWebErrors",
            ),
            series(
                "Requests, the ten most asked",
                "What is asked for?",
                Query(f"topk(10, {rate(f'{_LATENCY}_count', by='view')})", "{{view}}"),
                unit="reqps",
                stacked=True,
            ),
            series(
                "Time to answer, the ten slowest (95 %)",
                "Which views are slow?",
                Query("topk(10, view:django_http_requests_seconds:p95_5m >= 0)", "{{view}}"),
                unit="s",
                runbook="VitrineWebSlow",
            ),
        ),
    ),
)

_CHORES = Row(
    "What the catalogue does by itself",
    (
        line(
            8,
            table(
                "Rounds: seconds since the last success",
                "Which regular round of the relay is overdue? docs/administration.md says how often "
                "each is due.",
                Query("time() - max by (round) (vitrine_round_last_success_timestamp_seconds)"),
                unit="s",
                columns={"round": "round", "Value": "done ago"},
                runbook="VitrineRoundOverdue",
                width=6,
            ),
            series(
                "Rounds, by how they ended",
                "Do rounds fail, or wait for something that is down?",
                Query(
                    f"sum by (round, result) (increase(vitrine_round_runs_total[{WINDOW}]))",
                    "{{round}}: {{result}}",
                ),
                unit="short",
            ),
            series(
                "Rounds: time (95 %)",
                "Does a round take longer than it used to?",
                Query(quantile(0.95, "vitrine_round_duration_seconds", by="round"), "{{round}}"),
                unit="s",
            ),
            series(
                "Vocabulary: share of hits",
                "Does the results writer read the vocabulary anew more often than it has to?",
                Query(
                    f"{rate(_VOCABULARY, where=_HIT)} / ({rate(_VOCABULARY)} > 0)",
                    "hits",
                ),
                unit="percentunit",
                most=1,
            ),
        ),
    ),
)

BOARD = Dashboard(
    uid="vitrine-catalogue",
    title="Vitrine: catalogue",
    about="What became of every picture, what comes in, and what does the catalogue do by itself?",
    rows=(_LEDGER, _INCOMING, _SITE, _CHORES),
)
