"""One rendering serves all who look at the same; what was written makes it anew."""

import threading
from concurrent.futures import ThreadPoolExecutor

from beffroi.web.renderings import Renderings


class Data:
    """A version that a test moves."""

    def __init__(self) -> None:
        self.version, self.beat, self.made = "1", 1, 0
        self.renderings: Renderings[str] = Renderings(lambda: self.version, lambda: self.beat)

    def look(self, told: int | None = None) -> str:
        return self.renderings.get("page", self.make, told)

    def make(self) -> str:
        self.made += 1
        return f"made {self.made} times"


def test_what_was_not_changed_is_not_made_again() -> None:
    data = Data()
    assert data.look() == data.look() == "made 1 times"
    data.version = "2"
    assert data.look() == "made 2 times"


def test_who_was_told_of_a_beat_gets_what_was_made_since_then() -> None:
    data = Data()
    data.look(told=1)
    data.version = "2"
    assert data.look(told=1) == "made 1 times", "written since, but not told of yet"
    data.beat = 2
    assert data.look(told=2) == "made 2 times"
    assert data.look(told=2) == "made 2 times"


def test_many_who_ask_at_once_share_one_rendering() -> None:
    data = Data()
    gate = threading.Barrier(20)

    def ask() -> str:
        gate.wait()
        return data.look()

    with ThreadPoolExecutor(20) as threads:
        seen = {future.result() for future in [threads.submit(ask) for _ in range(20)]}
    assert seen == {"made 1 times"}
