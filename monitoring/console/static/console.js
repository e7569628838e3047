"use strict";

// What a page does by itself: clocks that go on between two messages, and word of a lost stream.
// Messages are put into place by htmx.
(() => {
  const live = document.querySelector("[data-live]");
  // The server's clock, as the reader's may be wrong.
  const ahead = live ? Date.now() / 1000 - Number(live.dataset.now) : 0;
  const now = () => Date.now() / 1000 - ahead;

  const span = (seconds) => {
    const s = Math.max(0, Math.floor(seconds));
    const two = (n) => String(n).padStart(2, "0");
    if (s >= 86400) return `${Math.floor(s / 86400)}d${two(Math.floor((s % 86400) / 3600))}h`;
    if (s >= 3600) return `${Math.floor(s / 3600)}h${two(Math.floor((s % 3600) / 60))}m`;
    return s >= 60 ? `${Math.floor(s / 60)}m${two(s % 60)}s` : `${s}s`;
  };

  const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

  const put = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };

  const clocks = () => {
    for (const one of document.querySelectorAll("[data-until]")) {
      const left = Number(one.dataset.until) - now();
      put(one, left > 0 ? `${span(left)} left of this step's pause` : "this step's pause is over");
    }
    for (const one of document.querySelectorAll("[data-ago]")) {
      const at = Date.parse(one.dateTime) / 1000;
      one.title = day.format(at * 1000);
      put(one, now() - at < 86400 ? `${span(now() - at)} ago` : day.format(at * 1000));
    }
  };

  const connection = (state) => {
    if (live) live.dataset.connection = state;
  };

  clocks();
  setInterval(clocks, 1000);
  document.addEventListener("htmx:after:swap", clocks);
  document.addEventListener("htmx:sse:after:message", () => connection("live"));
  document.addEventListener("htmx:sse:error", () => connection("lost"));
  document.addEventListener("htmx:sse:before:connection", (event) => {
    if (event.detail.connection.attempt > 0) connection("lost");
  });
})();
