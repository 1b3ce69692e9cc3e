"use strict";
// Fetches the page again and takes its content over. The server escapes everything, and the policy allows no other script.
(() => {
  const every = 10000;
  const tooOld = 30000;
  const state = document.getElementById("live");
  const pause = document.getElementById("pause");
  let paused = false;
  let seen = Date.now();

  const say = (text, isBad) => {
    if (state.textContent !== text) state.textContent = text;
    state.classList.toggle("bad", isBad);
  };

  const update = async () => {
    const answer = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(every) });
    if (!answer.ok) throw new Error("status " + answer.status);
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = document.getElementById("content");
    const other = next.getElementById("content");
    if (!other) throw new Error("no content");
    // What a reader has focused or scrolled stays.
    const focused = now.contains(document.activeElement) ? document.activeElement.getAttribute("aria-labelledby") : null;
    const scrolled = new Map();
    for (const box of now.querySelectorAll(".scroll")) scrolled.set(box.getAttribute("aria-labelledby"), box.scrollLeft);
    now.replaceChildren(...other.childNodes);
    for (const box of now.querySelectorAll(".scroll")) {
      const name = box.getAttribute("aria-labelledby");
      box.scrollLeft = scrolled.get(name) || 0;
      if (focused === name) box.focus({ preventScroll: true });
    }
    document.title = next.title;
    seen = Date.now();
  };

  const tick = async () => {
    if (!paused && !document.hidden) {
      try {
        await update();
        say("This page updates itself.", false);
      } catch (error) {
        if (Date.now() - seen > tooOld) say("This page is out of date: the process does not answer. It may have ended.", true);
      }
    }
    setTimeout(tick, every);
  };

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Resume updates" : "Pause updates";
    say(paused ? "Updates are paused." : "This page updates itself.", false);
  });
  setTimeout(tick, every);
})();
