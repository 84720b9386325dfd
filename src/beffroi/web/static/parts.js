// Asks for parts of a page, and puts them where they belong.
export async function fetchParts(url, names, options = {}) {
  const headers = { "X-Part": names.join(","), ...options.headers };
  const answer = await fetch(url, { ...options, headers });
  const isParts = answer.headers.get("Content-Type")?.startsWith("application/json");
  return { answer, parts: isParts ? await answer.json() : null };
}

const shown = new WeakMap();

export function put(element, html) {
  if (html === undefined || shown.get(element) === html) return;
  shown.set(element, html);
  const focused = element.contains(document.activeElement) ? pathTo(element, document.activeElement) : null;
  const scrolled = [...element.querySelectorAll("[data-keep-scroll]")].map((each) => each.scrollLeft);
  element.innerHTML = html;
  element.querySelectorAll("[data-keep-scroll]").forEach((each, place) => (each.scrollLeft = scrolled[place] ?? each.scrollLeft));
  if (focused) element.querySelector(focused)?.focus({ preventScroll: true });
  element.dispatchEvent(new CustomEvent("put", { bubbles: true }));
}

// What had the focus is found again by where it leads, or by its name.
function pathTo(root, element) {
  const href = element.getAttribute("href");
  if (href) return `${element.localName}[href="${CSS.escape(href)}"]`;
  if (element.id) return `#${CSS.escape(element.id)}`;
  return element.name ? `[name="${CSS.escape(element.name)}"]` : null;
}
