// Tells the server in which zone this browser lives; a page made for another zone is asked for again, once.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const known = document.cookie.includes(`beffroi_zone=${zone}`);
if (zone && !known) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `beffroi_zone=${zone}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  const isKept = document.cookie.includes(`beffroi_zone=${zone}`);
  const hasTyped = [...document.querySelectorAll("input, textarea")].some((each) => each.value !== each.defaultValue);
  if (isKept && !hasTyped && document.documentElement.dataset.zone !== zone) location.reload();
}
