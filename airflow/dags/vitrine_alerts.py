"""Who is told when a run fails or takes too long. Airflow 3 has deadlines where Airflow 2 had SLAs."""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from typing import Any

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference, SyncCallback

log = logging.getLogger(__name__)


def alerts(dag_id: str, *, within: timedelta) -> dict[str, Any]:
    """Arguments of a DAG: its deadline, counted from when a run was queued, and what a failed run does.

    Both go by mail to ``VITRINE_ALERT_MAIL``, through Airflow's connection ``smtp_default``. Where that is
    not set, a missed deadline goes into the log, and a failed run is one in Airflow's own pages and metrics.
    A run that misses its deadline goes on.

    There is no deadline where ``VITRINE_DEADLINES`` is ``off``: ``airflow dags test`` of Airflow 3.3 cannot
    end the run of a DAG that has one (apache/airflow#73428).
    """
    to = os.environ.get("VITRINE_ALERT_MAIL")
    late = f"A run of {dag_id} was not finished {within} after it was queued"
    callback: AsyncCallback | SyncCallback
    if to:
        mail = {"to": to, "subject": f"Vitrine: {dag_id} is late", "html_content": f"{late}."}
        callback = AsyncCallback(SmtpNotifier, kwargs=mail)
    else:
        callback = SyncCallback(deadline_missed, kwargs={"what": late})
    found: dict[str, Any] = {
        "deadline": DeadlineAlert(
            name="late", reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=within, callback=callback
        )
    }
    if os.environ.get("VITRINE_DEADLINES") == "off":
        found.clear()
    if to:
        found["on_failure_callback"] = SmtpNotifier(
            to=to,
            subject=f"Vitrine: {dag_id} failed",
            html_content="{{ run_id }}: {{ reason }}. The log of the task that failed says why.",
        )
    return found


def deadline_missed(*, what: str, context: dict[str, Any]) -> None:
    """Say so as an error in the log of the executor: what watches logs tells people."""
    log.error("%s: %s", what, context["dag_run"]["dag_run_id"])
