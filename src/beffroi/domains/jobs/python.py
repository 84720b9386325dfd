"""A Python action that does nothing: for trying a trigger out, and for measuring."""

from beffroi.engine.calls import Call


async def noop(call: Call) -> None:
    """Succeed at once."""
