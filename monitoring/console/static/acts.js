// The dialog of an act, where there is JavaScript. Without it each act is a page of its own.
"use strict";
(() => {
  const dialog = document.getElementById("act");
  let opener = null;

  // What a page wants read first: why nothing was done.
  const first = document.querySelector("main [data-focus]");
  if (first) first.focus();

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a, button");
    if (!link) return;
    if (link.hasAttribute("hx-target") && link.getAttribute("hx-target") === "#act") opener = link;
    if (dialog && dialog.open && link.hasAttribute("data-close")) {
      event.preventDefault();
      dialog.close();
    }
    if (link.dataset.fill) {
      const input = document.getElementById(link.dataset.fill);
      event.preventDefault();
      input.value = link.dataset.value;
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }
  });

  if (!dialog) return;
  // Whatever put it there: a dialog with content is open.
  new MutationObserver(() => {
    if (dialog.childElementCount && !dialog.open) dialog.showModal();
  }).observe(dialog, { childList: true });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    dialog.replaceChildren();
    if (opener && opener.isConnected) opener.focus();
  });
})();
