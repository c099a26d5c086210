// Puts the page of the sagas into the tab that Locust's page has for them, in place of the plain table there. Where that
// page is not as expected, nothing is touched, and the plain table stays.
(function () {
  "use strict";

  const opened = new WeakSet();
  let frame = null;
  let due = false;

  function hasText(element, text) {
    return element.textContent.trim() === text;
  }

  function table() {
    const first = [...document.querySelectorAll("#root main table thead tr > :first-child")].find((cell) => hasText(cell, "Topology"));
    return first ? first.closest("table").parentElement : null;
  }

  function isThere() {
    const content = frame && frame.contentDocument;
    return Boolean(content && content.getElementById("sagas"));
  }

  function fit() {
    if (isThere()) frame.style.height = frame.contentDocument.documentElement.offsetHeight + "px";
  }

  function open(main) {
    frame = document.createElement("iframe");
    frame.title = "Sagas";
    frame.src = "sagas/?embedded";
    frame.style.cssText = "display: block; width: 100%; max-width: 1536px; min-height: 20rem; margin: 0 auto; border: 0";
    frame.addEventListener("load", () => {
      if (!isThere()) return;
      new ResizeObserver(fit).observe(frame.contentDocument.documentElement);
      look();
    });
    main.append(frame);
  }

  function look() {
    due = false;
    const main = document.querySelector("#root main");
    const tab = [...document.querySelectorAll('#root [role="tab"]')].find((each) => hasText(each, "Sagas"));
    const selected = Boolean(main && tab && tab.getAttribute("aria-selected") === "true");
    if (selected && !(frame && frame.isConnected)) open(main);
    if (frame) frame.style.display = selected ? "block" : "none";
    const plain = table();
    if (plain) plain.style.display = selected && isThere() ? "none" : "";
    // What a test is made of is what Locust folds away as custom parameters; its form for a second test is outside of its root.
    const folded = [...document.querySelectorAll('form button[aria-expanded="false"]')].find((each) => hasText(each, "Custom parameters"));
    if (folded && !opened.has(folded)) {
      opened.add(folded);
      folded.click();
    }
  }

  new MutationObserver(() => {
    if (!due) requestAnimationFrame(look);
    due = true;
  }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["aria-selected"] });
  look();
})();
