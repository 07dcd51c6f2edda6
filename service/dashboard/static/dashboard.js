// Ask for the page again and take over its middle; the scroll position stays.
async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch("/", { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.getElementById("live").replaceWith(page.getElementById("live"));
  } catch {
    // The service is away for a moment; the next turn asks again.
  }
}
setInterval(refresh, 5000);
