// Follows the server: a number comes when something was written, and the parts that show data are fetched again.
import { fetchParts, put } from "./parts.js";

const live = () => [...document.querySelectorAll("[data-part]")];
const lost = document.querySelector("[data-lost]");
const LOOK_ANYWAY = 30_000;
let stream = null;
let beat = null;
let isFetching = false;
let isBehind = false;

function isHeld(element) {
  return element.matches(":has(form :focus)") || element.querySelector("details[open]") !== null;
}

async function refresh() {
  const wanted = live().filter((each) => !isHeld(each));
  if (!wanted.length) return;
  if (isFetching) return void (isBehind = true);
  isFetching = true;
  isBehind = false;
  try {
    const headers = beat ? { "X-Beat": beat } : {};
    const { answer, parts } = await fetchParts(location.href, wanted.map((each) => each.dataset.part), { headers });
    if (answer.redirected) location.reload();
    else if (parts) for (const each of wanted) if (each.dataset.part in parts && !isHeld(each)) put(each, parts[each.dataset.part]);
  } catch {
    lost.hidden = false; // the stream will say when the server is back
  } finally {
    isFetching = false;
    if (isBehind) setTimeout(refresh, 250);
  }
}

function open() {
  if (stream || document.hidden || !live().length) return;
  stream = new EventSource("/ui/live");
  stream.onopen = () => (lost.hidden = true);
  stream.onmessage = (event) => {
    const isFirst = beat === null;
    beat = event.data;
    lost.hidden = true;
    document.documentElement.dataset.beat = beat;
    if (!isFirst) refresh();
  };
  stream.onerror = () => {
    lost.hidden = false;
    beat = "0"; // whatever was missed: the next number fetches everything
    if (stream.readyState === EventSource.CLOSED) {
      close();
      setTimeout(open, 3_000);
    }
  };
}

function close() {
  stream?.close();
  stream = null;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return close();
  open();
  refresh();
});
addEventListener("pagehide", close);
addEventListener("pageshow", open);
setInterval(() => document.hidden || ((beat = null), refresh()), LOOK_ANYWAY);
open();
