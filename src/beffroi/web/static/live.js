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
  return element.matches(":has(form :focus)") || element.querySelector("details[open], [data-held]") !== null;
}

async function refresh(isAnyway = false) {
  const wanted = live().filter((each) => !isHeld(each));
  if (!wanted.length || "leaving" in document.documentElement.dataset) return;
  if (isFetching) return void (isBehind = true);
  isFetching = true;
  isBehind = false;
  try {
    const headers = beat && !isAnyway ? { "X-Beat": beat } : {};
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

// The page may have been made before what the first number tells of: it is fetched again then, too.
function hear(news) {
  beat = news;
  lost.hidden = true;
  document.documentElement.dataset.beat = beat;
  refresh();
}

// One stream serves all tabs of a browser: whoever holds the lock listens, and tells the others.
const channel = new BroadcastChannel("beffroi-live");
channel.onmessage = (event) => document.hidden || (event.data === null ? (lost.hidden = false) : hear(event.data));
let isWaiting = false;

function open() {
  if (stream || isWaiting || document.hidden || !live().length) return;
  if (!navigator.locks) return listen();
  isWaiting = true;
  navigator.locks.request("beffroi-live", () => {
    isWaiting = false;
    if (document.hidden) return undefined;
    listen();
    return new Promise((done) => (release = done));
  });
}

let release = () => {};

function listen() {
  stream = new EventSource("/ui/live");
  stream.onopen = () => (lost.hidden = true);
  stream.onmessage = (event) => {
    hear(event.data);
    channel.postMessage(event.data);
  };
  stream.onerror = () => {
    lost.hidden = false;
    beat = null; // whatever was missed: the next number fetches everything
    channel.postMessage(null);
    if (stream.readyState === EventSource.CLOSED) {
      close();
      setTimeout(open, 3_000);
    }
  };
}

function close() {
  stream?.close();
  stream = null;
  release();
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return close();
  open();
  refresh(true);
});
addEventListener("pagehide", close);
addEventListener("pageshow", open);
setInterval(() => document.hidden || refresh(true), LOOK_ANYWAY);
open();
