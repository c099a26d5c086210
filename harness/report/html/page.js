// What the page does when it is used: light or dark, and the way to a saga's journey. Without it everything can be read all the same.
(function () {
  "use strict";

  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  // The colors for the dark stand in the style sheets once, under the reader's preference: the button changes when that holds.
  const darkRules = Array.from(document.styleSheets)
    .flatMap((sheet) => Array.from(sheet.cssRules))
    .filter((rule) => rule.media && rule.media.mediaText.includes("prefers-color-scheme: dark"));

  function theme() {
    const button = document.getElementById("theme");
    if (!button) return;
    let chosen = null;
    const isDark = () => (chosen === null ? dark.matches : chosen);
    const name = () => (button.textContent = isDark() ? "Light" : "Dark");
    button.hidden = false;
    button.addEventListener("click", () => {
      chosen = !isDark();
      darkRules.forEach((rule) => (rule.media.mediaText = chosen ? "all" : "not all"));
      root.style.colorScheme = chosen ? "dark" : "light";
      name();
      dispatchEvent(new Event("themechange"));
    });
    dark.addEventListener("change", name);
    name();
  }

  // The address says which journey is shown, so that "back" goes back and a link can be passed on.
  function journeys() {
    const form = document.getElementById("choose");
    if (!form) return;
    const field = form.elements.namedItem("saga");
    const answer = document.getElementById("chosen");
    const all = Array.from(document.querySelectorAll(".journey"));

    function mark() {
      const current = all.find((each) => "#" + each.id === location.hash) || all[0];
      document.querySelectorAll(".ways a").forEach((link) => {
        if (link.hash === "#" + current.id) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      });
    }

    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const asked = field.value.trim();
      const found = all.find((each) => each.dataset.sagas.split("\n").includes(asked)) ||
        all.find((each) => each.dataset.arrival === asked || each.dataset.arrival.split("/")[1] === asked);
      answer.textContent = found ? "" : "Not on this page. Any saga: sagastorm journey " + form.dataset.run + " " + (asked || "SAGA");
      if (found) location.hash = found.id;
    });
    addEventListener("hashchange", mark);
    mark();
  }

  // What was folded away to keep the answer short, and is needed to judge it, belongs on paper.
  function paper() {
    const folded = Array.from(document.querySelectorAll("details.printed"));
    let opened = [];
    addEventListener("beforeprint", () => {
      opened = folded.filter((each) => !each.open);
      opened.forEach((each) => (each.open = true));
    });
    addEventListener("afterprint", () => opened.forEach((each) => (each.open = false)));
  }

  // What has to be scrolled to be read can be by keyboard, in every browser; what has not is no stop on the way.
  function scrolling() {
    const regions = Array.from(document.querySelectorAll(".scroll"));
    new ResizeObserver(() => regions.forEach((region) => {
      if (region.scrollWidth > region.clientWidth || region.scrollHeight > region.clientHeight) region.tabIndex = 0;
      else region.removeAttribute("tabindex");
    })).observe(document.body);
  }

  theme();
  journeys();
  paper();
  scrolling();
})();
