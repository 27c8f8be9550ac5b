"""Is there room for more, and what will run out first?"""

from layout import Dashboard, Row, line
from panels import Query, bars, series, stat, table
from promql import WINDOW, rate

_BUSY = "vitrine:vitrine_worker_busy:ratio_rate5m"

_WORKERS = Row(
    "Workers",
    (
        line(
            8,
            series(
                "Busy",
                "Are there enough workers? Which share of their time they work, over all of them.",
                Query(_BUSY, "busy"),
                unit="percentunit",
                steps=((None, "green"), (0.9, "orange")),
                most=1,
            ),
            series(
                "Pictures for each worker",
                "What does one worker do?",
                Query(
                    f"{rate('vitrine_pictures_total')} / count(vitrine_worker_busy_seconds_total)", "pictures"
                ),
                unit="ops",
            ),
            series(
                "What they could do",
                "How many pictures a second could these workers do if they were always busy?",
                Query(rate("vitrine_pictures_total"), "now"),
                Query(f"sum(rate(vitrine_pictures_total[5m])) / ({_BUSY} > 0.001)", "at most"),
                unit="ops",
            ),
            stat(
                "Until all are tagged",
                "At the rate of the last five minutes, when will everything that waits be tagged?",
                Query(
                    'max(vitrine_assets_pending{older_than="0s"})'
                    " / (sum(rate(vitrine_pictures_total[5m])) > 0)"
                ),
                unit="s",
                width=4,
            ),
        ),
    ),
)

_DATABASE = Row(
    "Database",
    (
        line(
            8,
            series(
                "Connections",
                "Will connections run out? An alert comes at 90 % of the limit.",
                Query("max by (state) (vitrine_database_connections)", "{{state}}"),
                Query("max(vitrine_database_connections_limit)", "limit"),
                unit="short",
                runbook="VitrineDatabaseConnectionsRunOut",
            ),
            series(
                "Blocks found in the cache",
                "Does the database's memory hold what is asked for? Below 99 % more memory would help.",
                Query(
                    f'sum(rate(vitrine_database_blocks_read_total{{from="cache"}}[{WINDOW}])) '
                    f"/ (sum(rate(vitrine_database_blocks_read_total[{WINDOW}])) > 0)",
                    "from the cache",
                ),
                unit="percentunit",
                most=1,
                least=None,
            ),
            series(
                "Size",
                "How fast does the database grow?",
                Query("max(vitrine_database_size_bytes)", "database"),
                unit="bytes",
            ),
            series(
                "Statements of the pages",
                "How hard do pages and REST interface work the database?",
                Query(rate("django_db_execute_total", by="vendor"), "{{vendor}}"),
                unit="ops",
            ),
        ),
    ),
)

_DISKS = Row(
    "Disks and certificates",
    (
        line(
            8,
            bars(
                "Disk in use",
                "How full are the disks? Alerts come at 95 %, and if one will be full in three days.",
                Query("max by (place) (1 - vitrine_disk_free_bytes / vitrine_disk_size_bytes)", "{{place}}"),
                unit="percentunit",
                steps=((None, "green"), (0.8, "orange"), (0.95, "red")),
                runbook="VitrineDiskAlmostFull",
                width=6,
            ),
            series(
                "Free on the disks",
                "How long will the room last?",
                Query("min by (place) (vitrine_disk_free_bytes)", "{{place}}"),
                unit="bytes",
                runbook="VitrineDiskFillsUp",
            ),
            table(
                "Certificates",
                "Which certificate ends first? Endpoints of VITRINE_MONITOR_CERTIFICATES.",
                Query("sort(min by (endpoint) (vitrine_certificate_expiry_timestamp_seconds) - time())"),
                unit="s",
                columns={"endpoint": "endpoint", "Value": "valid for"},
                steps=((None, "red"), (7 * 86400, "orange"), (21 * 86400, "green")),
                runbook="VitrineCertificateExpires",
            ),
        ),
    ),
)

_PROCESSES = Row(
    "Processes (web and model server do not tell of theirs)",
    (
        line(
            8,
            series(
                "Memory",
                "Does a process grow? A worker stays below 350 MB.",
                Query(
                    'sum by (service, instance) (process_resident_memory_bytes{job="vitrine"})',
                    "{{service}} {{instance}}",
                ),
                unit="bytes",
            ),
            series(
                "CPU",
                "Who uses the processors? 1 is a whole core.",
                Query(
                    f'sum by (service) (rate(process_cpu_seconds_total{{job="vitrine"}}[{WINDOW}]))',
                    "{{service}}",
                ),
                unit="none",
                stacked=True,
            ),
            series(
                "Open files",
                "Does a process leak files or connections?",
                Query(
                    'max by (service, instance) (process_open_fds{job="vitrine"} / process_max_fds)',
                    "{{service}} {{instance}}",
                ),
                unit="percentunit",
            ),
            table(
                "Versions",
                "Which version of Vitrine runs?",
                Query("count by (version) (vitrine_build_info)"),
                unit="none",
                columns={"version": "version"},
                width=4,
            ),
        ),
    ),
)

BOARD = Dashboard(
    uid="vitrine-capacity",
    title="Vitrine: capacity",
    about="Is there room for more, and what will run out first?",
    rows=(_WORKERS, _DATABASE, _DISKS, _PROCESSES),
)
