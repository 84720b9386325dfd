// Moves between the runs of the timeline with the arrow keys; on a phone it opens at now.
document.addEventListener("keydown", (event) => {
  const lane = event.target.closest?.(".lane");
  if (!lane) return;
  const along = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const across = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!along && !across) return;
  event.preventDefault();
  const lanes = [...document.querySelectorAll(".lane:has(a)")];
  const links = (each) => [...each.querySelectorAll("a")];
  const place = links(lane).indexOf(event.target.closest("a"));
  if (along) links(lane)[place + along]?.focus();
  else {
    const next = links(lanes[lanes.indexOf(lane) + across] ?? lane);
    next[Math.min(place, next.length - 1)]?.focus();
  }
});

for (const box of document.querySelectorAll("[data-open-at-now]")) box.scrollLeft = (box.scrollWidth - box.clientWidth) * 0.45;
