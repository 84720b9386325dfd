// A link marked so opens its page's form in a dialog; what is wrong is said in there.
import { fetchParts, put } from "./parts.js";

const dialog = document.getElementById("dialog");
const body = dialog.querySelector("[data-dialog-body]");

document.addEventListener("click", async (event) => {
  if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (event.target.closest("[data-close]") && dialog.open) {
    event.preventDefault();
    return dialog.close();
  }
  const link = event.target.closest("a[data-dialog]");
  if (!link) {
    document.querySelectorAll(".menu[open]").forEach((menu) => menu.contains(event.target) || (menu.open = false));
    return;
  }
  event.preventDefault();
  const { parts } = await fetchParts(link.href, ["dialog"]).catch(() => ({}));
  if (!parts?.dialog) return void (location.href = link.href);
  put(body, parts.dialog);
  dialog.showModal();
});

dialog.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  event.preventDefault();
  const sent = new URLSearchParams(new FormData(form, event.submitter));
  form.querySelectorAll("button").forEach((button) => (button.disabled = true));
  document.documentElement.dataset.leaving = ""; // what this page shows may be gone by now: it is not asked for again
  const { answer, parts } = await fetchParts(form.action, ["dialog"], { method: "POST", body: sent }).catch(() => ({}));
  if (parts?.dialog) {
    delete document.documentElement.dataset.leaving;
    put(body, parts.dialog);
  }
  else if (answer?.ok) location.href = answer.url;
  else location.reload(); // whether it was done is seen there; it is never sent twice
});

dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
dialog.addEventListener("close", () => put(body, ""));
