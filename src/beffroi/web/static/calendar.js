// A window is made by drawing it on the calendar: from where the pointer goes down to where it goes up, on one day.
const LEFT = 40, TOP = 28, DAY = 160, HOUR = 22, STEP = 15;
const SVG = "http://www.w3.org/2000/svg";
let drawing = null;

function place(svg, event) {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const day = Math.max(0, Math.min(6, Math.floor((at.x - LEFT) / DAY)));
  const minute = Math.round((((at.y - TOP) / HOUR) * 60) / STEP) * STEP;
  return { day, minute: Math.max(0, Math.min(24 * 60, minute)) };
}

function wall(monday, day, minute) {
  const moment = new Date(`${monday}T00:00Z`);
  moment.setUTCDate(moment.getUTCDate() + day);
  moment.setUTCMinutes(minute);
  return moment.toISOString().slice(0, 16);
}

function span(from, to) {
  return [Math.min(from.minute, to.minute), Math.max(from.minute, to.minute)];
}

function stop() {
  drawing.mark.remove();
  delete drawing.svg.dataset.held;
  drawing = null;
}

addEventListener("pointerdown", (event) => {
  const svg = event.target.closest?.("[data-calendar]");
  if (!svg || event.button || event.pointerType === "touch" || event.target.closest("a")) return;
  const mark = document.createElementNS(SVG, "rect");
  mark.setAttribute("class", "drawn");
  svg.append(mark);
  svg.dataset.held = ""; // what is being drawn on is not replaced meanwhile
  drawing = { svg, mark, from: place(svg, event) };
  event.preventDefault();
});

addEventListener("pointermove", (event) => {
  if (!drawing) return;
  const { svg, mark, from } = drawing;
  const [top, bottom] = span(from, place(svg, event));
  const box = { x: LEFT + from.day * DAY + 2, y: TOP + (top * HOUR) / 60, width: DAY - 5, height: ((bottom - top) * HOUR) / 60 };
  for (const [name, value] of Object.entries(box)) mark.setAttribute(name, value);
});

addEventListener("pointerup", (event) => {
  if (!drawing) return;
  const { svg, from } = drawing;
  stop();
  const [top, bottom] = span(from, place(svg, event));
  if (bottom - top < STEP) return;
  const monday = svg.dataset.calendar;
  const drawn = new URLSearchParams({ start: wall(monday, from.day, top), end: wall(monday, from.day, bottom) });
  location.href = `/ui/schedules/new?${drawn}`;
});

addEventListener("keydown", (event) => {
  if (event.key === "Escape" && drawing) stop();
});
