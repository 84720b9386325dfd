// Shows what a form means while it is typed, and tries it when asked to: the button's own page, without leaving this one.
import { fetchParts, put } from "./parts.js";

for (const form of document.querySelectorAll("form[data-preview]")) {
  const into = document.querySelector(`[data-into="${form.dataset.preview}"]`);
  let waiting = null;
  let latest = 0;

  const show = async (action, part, target) => {
    const mine = ++latest;
    target.setAttribute("aria-busy", "true");
    const sent = new URLSearchParams(new FormData(form));
    const { parts } = await fetchParts(action, [part], { method: "POST", body: sent }).catch(() => ({}));
    if (mine === latest || part !== "preview") target.removeAttribute("aria-busy");
    if (parts && (mine === latest || part !== "preview")) put(target, parts[part]);
  };

  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => show(form.dataset.previewAction, "preview", into), 200);
  });
  form.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-part-of]");
    if (!button) return;
    event.preventDefault();
    const target = document.querySelector(`[data-into="${button.dataset.partOf}"]`);
    button.disabled = true;
    await show(button.formAction, button.dataset.partOf, target);
    button.disabled = false;
  });
}
