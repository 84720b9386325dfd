"""Why something is wanted, in a sentence."""

from beffroi.core.moments import zone_of
from beffroi.domains.workloads.rules import Override, Verdict, Wanted


def because(verdict: Verdict, zone_name: str) -> str:
    """Say in a sentence who decides."""
    winner = verdict.winner
    if winner is None:
        if verdict.wanted is Wanted.DOWN:
            return "No window holds."
        return "No active schedule says anything."
    until = winner.until.astimezone(zone_of(zone_name)) if winner.until else None
    end = f"until {until.isoformat(timespec='seconds')}" if until else "until it is taken back"
    if isinstance(winner.source, Override):
        note = f": {winner.source.note}" if winner.source.note else ""
        return f"{winner.source.author} said {winner.wanted!s}, {end}{note}."
    return f"The window of {winner.source.name!r} holds {end}."
