// Finds while one types; the slash key leads to the box.
import { fetchParts, put } from "./parts.js";

const box = document.querySelector("[data-search]");
const found = document.querySelector("[data-found]");
let waiting = null;

async function look() {
  if (!box.value.trim()) return void (found.hidden = true);
  const asked = box.value;
  const { parts } = await fetchParts(`/ui/search?q=${encodeURIComponent(asked)}`, ["hits"]).catch(() => ({}));
  if (!parts || box.value !== asked) return;
  put(found, parts.hits);
  found.hidden = false;
}

box?.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(look, 150);
});

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches?.("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && box) {
    event.preventDefault();
    box.focus();
  }
  if (!found || found.hidden) return;
  if (event.key === "Escape") {
    found.hidden = true;
    box.focus();
  }
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const places = [box, ...found.querySelectorAll("a")];
  const here = places.indexOf(document.activeElement);
  if (step && here >= 0) {
    event.preventDefault();
    places.at((here + step) % places.length).focus();
  }
});
document.addEventListener("focusin", (event) => event.target.closest(".search") || !found || (found.hidden = true));
