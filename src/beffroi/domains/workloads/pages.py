"""What pages show of the workload schedules."""

from sqlmodel import Session

from beffroi.domains.workloads.service import ScheduleFilter, list_schedules
from beffroi.web.search import Hit
from beffroi.web.words import mark as _


def find(session: Session, text: str, most: int) -> list[Hit]:
    """Find schedules by a part of their name; each is shown by the job that fires at its edges."""
    found = list_schedules(session, ScheduleFilter(name=text), None, most)
    return [
        Hit(_("schedule"), each.name, f"/ui/jobs/{each.job_id}", each.status) for each in found if each.job_id
    ]
