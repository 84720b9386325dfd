"""Those who look: each follows the stream and fetches parts of a page; one changes something each second."""

import asyncio
import sys
import time

import httpx2

from benchmarks.pages import PAGES, URL


class Viewer:
    """One open page, as a browser keeps it: the newest number wins, one fetch at a time."""

    def __init__(self, path: str, parts: str) -> None:
        self._path, self._parts = path, parts
        self.fetched = 0
        self._beat = ""
        self._news = asyncio.Event()

    async def look(self, until: float) -> None:
        async with httpx2.AsyncClient(base_url=URL, timeout=60, trust_env=False) as client:
            await client.get(self._path)
            following = asyncio.create_task(self._follow(client))
            while time.time() < until:
                try:
                    await asyncio.wait_for(self._news.wait(), max(0.01, until - time.time()))
                except TimeoutError:
                    break
                self._news.clear()
                answer = await client.get(self._path, headers={"X-Part": self._parts, "X-Beat": self._beat})
                answer.raise_for_status()
                self.fetched += 1
            following.cancel()

    async def _follow(self, client: httpx2.AsyncClient) -> None:
        async with client.stream("GET", "/ui/live") as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    self._beat = line.removeprefix("data: ")
                    self._news.set()


async def change(until: float) -> None:
    """Rename a job once a second."""
    async with httpx2.AsyncClient(base_url=URL, timeout=60, trust_env=False) as client:
        number = 0
        while time.time() < until:
            number += 1
            await client.patch("/jobs/1", json={"name": f"changed {number} times"})
            await asyncio.sleep(1)


async def main(count: int, until: float) -> int:
    """Look until then; return how many times parts were fetched."""
    pages = list(PAGES.items())
    viewers = [Viewer(*pages[number % len(pages)]) for number in range(count)]
    await asyncio.gather(change(until), *(viewer.look(until) for viewer in viewers))
    return sum(viewer.fetched for viewer in viewers)


if __name__ == "__main__":
    print(asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]))))
